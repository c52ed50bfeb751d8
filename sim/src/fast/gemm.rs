//! Matrix products through rten's gemm, as views of slices. The one place that knows it.

use gpu::{Error, Result};
use rten_gemm::{BiasVector, GemmError, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_tensor::NdTensorView;
use rten_tensor::errors::FromDataError;

thread_local! {
    /// Chosen by the processor's features; cannot be sent between threads, and costs nothing to make.
    static EXECUTOR: GemmExecutor = GemmExecutor::default();
}

/// A right operand `[k, n]` in the order that the product reads it.
pub type Packed = PackedBMatrix<f32>;

/// A matrix in a slice: element `(i, j)` at `i · strides[0] + j · strides[1]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub data: &'a [f32],
    pub shape: [usize; 2],
    pub strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Rows one behind the other.
    pub fn dense(data: &'a [f32], shape: [usize; 2]) -> Self {
        Self::rows(data, shape, shape[1])
    }

    /// Rows that are `stride` apart.
    pub fn rows(data: &'a [f32], shape: [usize; 2], stride: usize) -> Self {
        Self {
            data,
            shape,
            strides: [stride, 1],
        }
    }

    /// Rows for columns.
    pub fn transposed(self) -> Self {
        Self {
            data: self.data,
            shape: [self.shape[1], self.shape[0]],
            strides: [self.strides[1], self.strides[0]],
        }
    }

    fn view(self) -> Result<NdTensorView<'a, f32, 2>> {
        let view = NdTensorView::from_slice_with_strides(self.shape, self.data, self.strides);
        view.map_err(|error: FromDataError| bug(error.to_string()))
    }
}

/// Packs a right operand that is used more than once.
pub fn pack(b: Matrix<'_>) -> Result<Packed> {
    let b = b.view()?;
    Ok(EXECUTOR.with(|executor| executor.prepack_b(b)))
}

/// The right operand of a product.
#[derive(Clone, Copy)]
pub enum Right<'a> {
    Matrix(Matrix<'a>),
    Packed(&'a Packed),
}

/// `y = alpha · a b (+ bias) (+ y)`; y `[m, n]` dense, bias `[n]`; `add` keeps what y held.
pub fn gemm(a: Matrix<'_>, b: Right<'_>, alpha: f32, bias: Option<&[f32]>, add: bool, y: &mut [f32]) -> Result<()> {
    let b = match b {
        Right::Matrix(b) => GemmInputB::Unpacked(b.view()?),
        Right::Packed(b) => GemmInputB::Packed(b),
    };
    let options = GemmOptions {
        alpha,
        beta: f32::from(u8::from(add)),
        bias: bias.map(BiasVector::Row),
        ..GemmOptions::default()
    };
    let a = GemmInputA::Unpacked(a.view()?);
    let done = EXECUTOR.with(|executor| executor.gemm(y, a, b, options));
    done.map_err(|error: GemmError| bug(error.to_string()))
}

fn bug(message: String) -> Error {
    Error::Engine { what: "gemm", message }
}
