//! The host side of the kernels: for each shader a struct of the same name that says what it binds and how it is
//! launched. What they are made into is [`Dispatch`], which engines play and plans print. No adapter is known here.

pub mod activate;
pub mod add;
pub mod add_scaled;
pub mod attention;
pub mod attention_coop;
pub mod attention_direct;
pub mod attn_combine;
pub mod attn_decode;
pub mod attn_split;
pub mod attn_step;
pub mod conv_down;
pub mod cost;
pub mod depthwise_conv;
pub mod dot;
pub mod dot_matvec;
pub mod dot_qkv;
pub mod dot_quantize;
pub mod dot_swiglu;
pub mod embed;
pub mod gate;
pub mod gather_mix;
pub mod gelu;
pub mod glu;
pub mod halve;
pub mod kv_append;
pub mod layer_norm;
pub mod linear;
pub mod lstm_cell;
pub mod masked_add;
pub mod matmul;
pub mod matmul_coop;
pub mod matmul_direct;
pub mod matvec;
pub mod norm_four;
pub mod overlay;
pub mod patchify;
pub mod preamble;
pub mod quantize;
#[cfg(test)]
mod reflection_decode;
#[cfg(test)]
mod reflection_tests;
pub mod rel_attention;
pub mod rms_norm;
pub mod rope;
pub mod sample;
pub mod sample_scan;
pub mod swap_relu;
pub mod swiglu;
pub mod take_last;
pub mod tdt_hidden;
pub mod tdt_step;

use bytemuck::Pod;
use preamble::Need;

pub use self::cost::Cost;
use crate::error::{Error, Result};
use crate::tensor::TensorId;

/// A kernel's variants as `build.rs` joined them.
pub struct KernelSource {
    pub name: &'static str,
    pub variants: &'static [Variant],
}

/// One choice of parts, and the WGSL that it gives.
pub struct Variant {
    /// The parts that were chosen, in the order of the shader's header; parts without a choice are not named.
    pub parts: &'static [&'static str],
    /// What kernel and parts need of the adapter, in order.
    pub needs: &'static [Need],
    /// Without the directives of [`preamble::preamble`].
    pub source: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/sources.rs"));

/// The WGSL of a kernel with these parts.
pub fn source(name: &str, parts: &[&str]) -> Option<&'static Variant> {
    let kernel = SOURCES.iter().find(|kernel| kernel.name == name)?;
    kernel.variants.iter().find(|variant| variant.parts == parts)
}

/// Workgroups that a grid has in x before it folds into y.
pub const FOLD: u32 = 65_535;

/// A number that changes with any kernel's text: what was found out about kernels holds for these alone. FNV-1a.
pub fn fingerprint() -> u64 {
    let texts = SOURCES
        .iter()
        .flat_map(|kernel| kernel.variants)
        .map(|variant| variant.source);
    let bytes = texts.flat_map(str::bytes);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Where an operand lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Memory {
    /// A temporary of the plan, by number. While a recording is being lowered, the number of its [`Buffer`] instead.
    ///
    /// [`Buffer`]: crate::recording::Buffer
    Temp(u32),
    Tensor(TensorId),
}

/// The first `size_bytes` of a temporary or tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    pub memory: Memory,
    pub size_bytes: u64,
}

impl Operand {
    /// Bytes that are bound: whole vectors of four words, since kernels read those. Engines allocate accordingly.
    pub fn bound_bytes(&self) -> u64 {
        padded_bytes(self.size_bytes)
    }
}

/// What an allocation of `size_bytes` takes, so that kernels may read it in vectors of four words; never 0.
pub fn padded_bytes(size_bytes: u64) -> u64 {
    size_bytes.max(1).next_multiple_of(16)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    ReadWrite,
}

/// One storage binding of a dispatch.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    pub group: u32,
    pub index: u32,
    /// The variable's name in the shader.
    pub name: &'static str,
    pub access: Access,
    pub operand: Operand,
}

impl Binding {
    pub fn new(group: u32, index: u32, name: &'static str, access: Access, operand: Operand) -> Self {
        Self {
            group,
            index,
            name,
            access,
            operand,
        }
    }
}

/// A pipeline constant by its name in the shader.
pub type Override = (&'static str, u32);

/// What a shader needs to be launched.
pub trait Kernel {
    /// The shader's file name without ending.
    const NAME: &'static str;
    /// The shader's `Params`, binding 0 of group 0.
    type Params: Pod;

    /// Errors: `Shape` for operands that the shader cannot take.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn params(&self) -> Self::Params;

    /// In the shader's order, without `Params`.
    fn bindings(&self) -> Vec<Binding>;

    /// The chosen part of each role that has a choice, in the order of the header.
    fn parts(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn overrides(&self) -> Vec<Override>;

    /// Workgroups.
    fn grid(&self) -> [u32; 3];

    /// Invocations of a workgroup.
    fn invocations(&self) -> u32;

    /// Bytes of workgroup memory.
    fn shared_bytes(&self) -> u32 {
        0
    }

    /// What a launch has to do; `bindings` are the kernel's own. Every kernel that a pass of a model uses says it.
    fn cost(&self, bindings: &[Binding]) -> Cost {
        Cost::whole(bindings)
    }
}

/// One launch of a kernel: all that an engine needs to play it, and to say what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    pub kernel: &'static str,
    pub parts: Vec<&'static str>,
    /// What the variant needs of the adapter.
    pub needs: &'static [Need],
    pub params: Vec<u8>,
    pub bindings: Vec<Binding>,
    pub overrides: Vec<Override>,
    pub grid: [u32; 3],
    pub invocations: u32,
    pub shared_bytes: u32,
    pub cost: Cost,
    /// The operation of the recording that this ends.
    pub op_idx: usize,
}

impl Dispatch {
    /// Errors: those of the kernel's `check`; `Engine` if the shader has no such variant (a bug).
    pub fn new<K: Kernel>(kernel: &K, op_idx: usize) -> Result<Self> {
        kernel.check()?;
        let parts = kernel.parts();
        let Some(variant) = source(K::NAME, &parts) else {
            return Err(Error::Engine {
                what: K::NAME,
                message: format!("the kernel has no variant {parts:?}"),
            });
        };
        let bindings = kernel.bindings();
        Ok(Self {
            kernel: K::NAME,
            parts,
            needs: variant.needs,
            params: bytemuck::bytes_of(&kernel.params()).to_vec(),
            cost: kernel.cost(&bindings),
            bindings,
            overrides: kernel.overrides(),
            grid: kernel.grid(),
            invocations: kernel.invocations(),
            shared_bytes: kernel.shared_bytes(),
            op_idx,
        })
    }

    /// Bytes that are bound, each operand once: an upper bound of what memory has to move.
    pub fn bound_bytes(&self) -> u64 {
        self.bindings.iter().map(|binding| binding.operand.size_bytes).sum()
    }
}

/// Bindings of group 0 after `Params`: inputs, then outputs, numbered from 1.
pub fn group0(reads: &[(&'static str, Operand)], writes: &[(&'static str, Operand)]) -> Vec<Binding> {
    numbered(0, 1, reads, writes)
}

/// Bindings of group 1, numbered from 0.
pub fn group1(reads: &[(&'static str, Operand)], writes: &[(&'static str, Operand)]) -> Vec<Binding> {
    numbered(1, 0, reads, writes)
}

fn numbered(group: u32, first: u32, reads: &[(&'static str, Operand)], writes: &[(&'static str, Operand)]) -> Vec<Binding> {
    let reads = reads.iter().map(|&(name, operand)| (name, Access::Read, operand));
    let writes = writes.iter().map(|&(name, operand)| (name, Access::ReadWrite, operand));
    (first..)
        .zip(reads.chain(writes))
        .map(|(index, (name, access, operand))| Binding::new(group, index, name, access, operand))
        .collect()
}

/// `n` workgroups, folded into y above [`FOLD`].
pub fn folded(n: usize) -> [u32; 3] {
    let fold = FOLD as usize;
    [n.min(fold) as u32, n.div_ceil(fold).max(1) as u32, 1]
}

/// Workgroups for `n` lanes' work.
pub fn lanes(n: usize, workgroup: u32) -> [u32; 3] {
    folded(n.div_ceil(workgroup as usize))
}
