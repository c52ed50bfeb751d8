//! Speech to text: `mel` and `pieces` are the maths before and after the model.

pub mod mel;
pub mod pieces;
