//! System tests: public APIs only.
