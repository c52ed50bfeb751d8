//! Reads what `torch.save` pickles of a dictionary of tensors. Nothing is executed: the few opcodes and names that torch
//! writes have a fixed meaning here, and all others are errors.
//! Source: `pickletools` of CPython for the opcodes; `torch/_utils.py` and `torch/serialization.py` for the names.

use std::collections::BTreeMap;
use std::rc::Rc;

use ::safetensors::Dtype;

/// Most values that lie on the stack, and extents of a tensor.
const MAX_STACK: usize = 1 << 20;
/// Tuples within tuples; torch nests three deep.
const MAX_DEPTH: usize = 8;

/// A tensor as the pickle describes it, in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The entry `data/KEY` of the archive.
    pub key: String,
    pub dtype: Dtype,
    pub storage_len: u64,
    pub offset: u64,
    pub shape: Vec<u64>,
    pub strides: Vec<u64>,
}

#[derive(Clone, Debug)]
enum Value {
    None,
    Bool,
    Int(i64),
    Text(Rc<str>),
    Tuple(Rc<[Value]>, usize),
    Name(Name),
    /// By number, because a dictionary is filled after it was memorised.
    Dict(usize),
    Storage(Rc<Storage>),
    Tensor(Rc<Tensor>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

#[derive(Debug)]
struct Storage {
    dtype: Dtype,
    key: String,
    len: u64,
}

/// The tensors of the dictionary that the pickle holds, by name. Entries that are no tensors are not named.
///
/// Errors: a sentence that says what is not as torch writes it, and at which byte.
pub fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    let mut reader = Reader {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        dicts: Vec::new(),
    };
    let top = reader
        .run()
        .map_err(|fault| format!("{fault} (byte {} of the pickle)", reader.at))?;
    let Value::Dict(top) = top else {
        return Err("the pickle is not a dictionary of tensors".into());
    };
    let mut tensors = BTreeMap::new();
    for (key, value) in std::mem::take(&mut reader.dicts[top]) {
        match (key, value) {
            (Value::Text(name), Value::Tensor(tensor)) => {
                if tensors.insert(name.to_string(), Tensor::clone(&tensor)).is_some() {
                    return Err(format!("{name:?} occurs twice"));
                }
            }
            (Value::Text(name), _) => return Err(format!("the value of {name:?} is not a tensor")),
            _ => return Err("a key of the dictionary is not a text".into()),
        }
    }
    Ok(tensors)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Lengths of the stack at open marks.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value>,
    dicts: Vec<Vec<(Value, Value)>>,
}

impl<'a> Reader<'a> {
    fn run(&mut self) -> Result<Value, String> {
        loop {
            if self.stack.len() > MAX_STACK || self.marks.len() > MAX_STACK {
                return Err("the pickle's stack grows without end".into());
            }
            let [opcode] = self.take()?;
            match opcode {
                0x80 => {
                    let [version] = self.take()?;
                    if !(2..=3).contains(&version) {
                        return Err(format!("the pickle has protocol {version}, torch writes 2"));
                    }
                }
                b'c' => self.global()?,
                b'q' => {
                    let [slot] = self.take()?;
                    self.put(u32::from(slot))?;
                }
                b'r' => {
                    let slot = u32::from_le_bytes(self.take()?);
                    self.put(slot)?;
                }
                b'h' => {
                    let [slot] = self.take()?;
                    self.get(u32::from(slot))?;
                }
                b'j' => {
                    let slot = u32::from_le_bytes(self.take()?);
                    self.get(slot)?;
                }
                b'(' => self.marks.push(self.stack.len()),
                b')' => self.tuple(0)?,
                0x85..=0x87 => self.tuple(usize::from(opcode - 0x84))?,
                b't' => {
                    let n = self.stack.len() - self.mark()?;
                    self.tuple(n)?;
                }
                b'X' => {
                    let len = u32::from_le_bytes(self.take()?) as usize;
                    let text = self.slice(len)?;
                    let text = std::str::from_utf8(text).map_err(|_| "a text is not UTF-8")?;
                    self.stack.push(Value::Text(text.into()));
                }
                b'K' => {
                    let [byte] = self.take()?;
                    self.stack.push(Value::Int(byte.into()));
                }
                b'M' => {
                    let number = u16::from_le_bytes(self.take()?);
                    self.stack.push(Value::Int(number.into()));
                }
                b'J' => {
                    let number = i32::from_le_bytes(self.take()?);
                    self.stack.push(Value::Int(number.into()));
                }
                0x8a => self.long()?,
                b'N' => self.stack.push(Value::None),
                0x88 | 0x89 => self.stack.push(Value::Bool),
                b'}' => self.dict(),
                b's' => {
                    let from = self.stack.len().checked_sub(2).ok_or("the pickle's stack is empty")?;
                    self.set_items(from)?;
                }
                b'u' => {
                    let from = self.mark()?;
                    self.set_items(from)?;
                }
                b'Q' => self.persistent()?,
                b'R' => self.reduce()?,
                // What torch keeps beside the tensors, versions of modules, is not needed.
                b'b' => {
                    self.pop()?;
                    match self.stack.last() {
                        Some(Value::Dict(_)) => {}
                        _ => return Err("the pickle sets attributes of something that is no dictionary".into()),
                    }
                }
                b'.' => return self.pop(),
                other => {
                    return Err(format!(
                        "opcode {other:#04x} does not occur in what torch writes of tensors; it is not executed"
                    ));
                }
            }
        }
    }

    fn slice(&mut self, len: usize) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let slice = rest.get(..len).ok_or("the pickle is truncated")?;
        self.at += len;
        Ok(slice)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let chunk = self.slice(N)?.first_chunk::<N>().copied();
        chunk.ok_or_else(|| "the pickle is truncated".into())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest
            .iter()
            .take(256)
            .position(|&byte| byte == b'\n')
            .ok_or("a name has no end")?;
        let line = String::from_utf8_lossy(&rest[..len]).into_owned();
        self.at += len + 1;
        Ok(line)
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "the pickle's stack is empty".into())
    }

    /// Closes the last mark: where it was on the stack.
    fn mark(&mut self) -> Result<usize, String> {
        let mark = self.marks.pop().ok_or("the pickle closes what it did not open")?;
        if mark > self.stack.len() {
            return Err("the pickle closes what it took away".into());
        }
        Ok(mark)
    }

    fn put(&mut self, slot: u32) -> Result<(), String> {
        let value = self.stack.last().ok_or("the pickle's stack is empty")?.clone();
        self.memo.insert(slot, value);
        Ok(())
    }

    fn get(&mut self, slot: u32) -> Result<(), String> {
        let value = self
            .memo
            .get(&slot)
            .ok_or("the pickle asks for what it did not keep")?
            .clone();
        self.stack.push(value);
        Ok(())
    }

    fn tuple(&mut self, n: usize) -> Result<(), String> {
        let from = self.stack.len().checked_sub(n).ok_or("the pickle's stack is empty")?;
        let depth = |value: &Value| match value {
            Value::Tuple(_, depth) => *depth,
            _ => 0,
        };
        let depth = 1 + self.stack[from..].iter().map(depth).max().unwrap_or(0);
        if depth > MAX_DEPTH {
            return Err(format!("tuples are nested more than {MAX_DEPTH} deep"));
        }
        let values: Rc<[Value]> = self.stack.drain(from..).collect();
        self.stack.push(Value::Tuple(values, depth));
        Ok(())
    }

    fn long(&mut self) -> Result<(), String> {
        let [len] = self.take()?;
        let bytes = self.slice(usize::from(len))?;
        if bytes.len() > 8 {
            return Err("a number does not fit 64 bits".into());
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut number = [if negative { 0xff } else { 0 }; 8];
        number[..bytes.len()].copy_from_slice(bytes);
        self.stack.push(Value::Int(i64::from_le_bytes(number)));
        Ok(())
    }

    fn dict(&mut self) {
        self.stack.push(Value::Dict(self.dicts.len()));
        self.dicts.push(Vec::new());
    }

    fn set_items(&mut self, from: usize) -> Result<(), String> {
        let items: Vec<Value> = self.stack.drain(from..).collect();
        let Some(&Value::Dict(dict)) = self.stack.last() else {
            return Err("the pickle sets items of something that is no dictionary".into());
        };
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a key has no value".into());
        }
        self.dicts[dict].extend(pairs.iter().cloned().map(|[key, value]| (key, value)));
        Ok(())
    }

    fn global(&mut self) -> Result<(), String> {
        let (module, name) = (self.line()?, self.line()?);
        let known = match (module.as_str(), name.as_str()) {
            ("collections", "OrderedDict") => Name::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Name::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Name::RebuildParameter,
            ("torch", "FloatStorage") => Name::Storage(Dtype::F32),
            ("torch", "HalfStorage") => Name::Storage(Dtype::F16),
            ("torch", "BFloat16Storage") => Name::Storage(Dtype::BF16),
            ("torch", "DoubleStorage") => Name::Storage(Dtype::F64),
            ("torch", "LongStorage") => Name::Storage(Dtype::I64),
            ("torch", "IntStorage") => Name::Storage(Dtype::I32),
            ("torch", "BoolStorage") => Name::Storage(Dtype::BOOL),
            ("torch", "ByteStorage") => Name::Storage(Dtype::U8),
            _ => {
                return Err(format!(
                    "the pickle names {module}.{name}, which a checkpoint of tensors does not need; it is not executed"
                ));
            }
        };
        self.stack.push(Value::Name(known));
        Ok(())
    }

    /// `('storage', TYPE, key, device, length)`.
    fn persistent(&mut self) -> Result<(), String> {
        let value = self.pop()?;
        let Value::Tuple(parts, _) = &value else {
            return Err("a storage is not described by a tuple".into());
        };
        let [
            Value::Text(tag),
            Value::Name(Name::Storage(dtype)),
            Value::Text(key),
            Value::Text(_),
            Value::Int(len),
        ] = &**parts
        else {
            return Err("a storage is not described as torch does".into());
        };
        let len = u64::try_from(*len).map_err(|_| "a storage has a negative length")?;
        if &**tag != "storage" {
            return Err(format!("{tag:?} is no storage"));
        }
        self.stack.push(Value::Storage(Rc::new(Storage {
            dtype: *dtype,
            key: key.to_string(),
            len,
        })));
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments, _), Value::Name(name)) = (&arguments, &callee) else {
            return Err("the pickle calls something that has no name".into());
        };
        match (name, &**arguments) {
            (Name::OrderedDict, []) => self.dict(),
            (Name::RebuildTensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
                let tensor = Tensor {
                    key: storage.key.clone(),
                    dtype: storage.dtype,
                    storage_len: storage.len,
                    offset: u64::try_from(*offset).map_err(|_| "a tensor begins before its storage")?,
                    shape: numbers(shape)?,
                    strides: numbers(strides)?,
                };
                self.stack.push(Value::Tensor(Rc::new(tensor)));
            }
            (Name::RebuildParameter, [Value::Tensor(tensor), ..]) => self.stack.push(Value::Tensor(tensor.clone())),
            _ => return Err(format!("{name:?} is not called as torch does")),
        }
        Ok(())
    }
}

fn numbers(value: &Value) -> Result<Vec<u64>, String> {
    let Value::Tuple(values, _) = value else {
        return Err("a shape is not a tuple".into());
    };
    let number = |value: &Value| match value {
        Value::Int(number) => u64::try_from(*number).map_err(|_| "an extent or stride is negative".to_owned()),
        _ => Err("an extent is not a number".to_owned()),
    };
    values.iter().map(number).collect()
}
