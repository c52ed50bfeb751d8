//! The real GPU: plays plans as WGSL dispatches.
