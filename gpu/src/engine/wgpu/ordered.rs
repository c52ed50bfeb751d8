//! `subgroupBarrier` that orders workgroup memory. WGSL does not say whether it does; naga asks SPIR-V for an order of subgroup
//! memory, of which Vulkan has none. Kernels in which each subgroup has its own piece of workgroup memory need no more than
//! their subgroup's order of it, which is cheaper than a barrier of the whole workgroup.

use ::wgpu::naga::{Barrier, Block, Module, Statement, front::wgsl};

use crate::error::{Error, Result};

/// A kernel's module, its subgroup barriers with an order of workgroup memory.
///
/// Errors: `Engine` for a text that is not WGSL (a bug: `build.rs` validates all of them).
pub fn module(kernel: &'static str, text: &str) -> Result<Module> {
    let mut module = wgsl::parse_str(text).map_err(|error| Error::Engine {
        what: kernel,
        message: error.emit_to_string(text),
    })?;
    for (_, function) in module.functions.iter_mut() {
        order(&mut function.body);
    }
    for entry in &mut module.entry_points {
        order(&mut entry.function.body);
    }
    Ok(module)
}

fn order(block: &mut Block) {
    for statement in block.iter_mut() {
        match statement {
            Statement::ControlBarrier(barrier) if barrier.contains(Barrier::SUB_GROUP) => *barrier |= Barrier::WORK_GROUP,
            Statement::Block(inner) => order(inner),
            Statement::If { accept, reject, .. } => {
                order(accept);
                order(reject);
            }
            Statement::Switch { cases, .. } => cases.iter_mut().for_each(|case| order(&mut case.body)),
            Statement::Loop { body, continuing, .. } => {
                order(body);
                order(continuing);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "@compute @workgroup_size(32) fn main(@builtin(local_invocation_index) lane: u32) {
        workgroupBarrier();
        for (var i = 0u; i < 4u; i++) { if i > 2u { subgroupBarrier(); } else { switch i { default: { subgroupBarrier(); } } } }
        { subgroupBarrier(); }
    }";

    fn barriers(block: &Block, found: &mut Vec<Barrier>) {
        for statement in block.iter() {
            match statement {
                Statement::ControlBarrier(barrier) => found.push(*barrier),
                Statement::Block(inner) => barriers(inner, found),
                Statement::If { accept, reject, .. } => [accept, reject].iter().for_each(|inner| barriers(inner, found)),
                Statement::Switch { cases, .. } => cases.iter().for_each(|case| barriers(&case.body, found)),
                Statement::Loop { body, continuing, .. } => [body, continuing].iter().for_each(|inner| barriers(inner, found)),
                _ => {}
            }
        }
    }

    #[test]
    fn every_subgroup_barrier_orders_workgroup_memory() -> Result<()> {
        let module = module("test", TEXT)?;
        let mut found = Vec::new();
        barriers(&module.entry_points[0].function.body, &mut found);
        let both = Barrier::SUB_GROUP | Barrier::WORK_GROUP;
        assert_eq!(found, [Barrier::WORK_GROUP, both, both, both]);
        assert!(super::module("test", "fn main( {").is_err());
        Ok(())
    }
}
