//! Speech to text: `mel` and `pieces` are the maths before and after the model, `recognise` takes an utterance through it,
//! `model` finds and loads one.

pub mod mel;
pub mod model;
pub mod pieces;
pub mod recognise;
