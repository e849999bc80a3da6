//! The JSON file of a graph model.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Deserializer};

use crate::onnx::error::ConversionError;

/// Largest axis, stride or padding of a graph. Sums and products of a few of these do not overflow.
const MAX_SIZE: i64 = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    model_topology: Topology,
    /// The groups and their weights, in the order of their values in the weights' file.
    pub(super) weights_manifest: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Topology {
    node: Vec<Node>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) weights: Vec<Weight>,
}

/// One constant and how its values are stored.
#[derive(Debug, Deserialize)]
pub(super) struct Weight {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: String,
    pub(super) quantization: Option<Quantization>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Quantization {
    pub(super) dtype: String,
}

/// `NodeDef` of TensorFlow, in the JSON form of its protocol buffer.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) op: String,
    #[serde(default)]
    input: Vec<String>,
    #[serde(default)]
    attr: BTreeMap<String, Attribute>,
}

/// `AttrValue` of TensorFlow, with the fields that conversion needs.
#[derive(Debug, Deserialize)]
struct Attribute {
    /// Base64.
    s: Option<String>,
    b: Option<bool>,
    list: Option<List>,
    shape: Option<Shape>,
}

#[derive(Debug, Deserialize)]
struct List {
    #[serde(default, deserialize_with = "integers")]
    i: Vec<i64>,
    /// Base64.
    #[serde(default)]
    s: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Shape {
    #[serde(default)]
    dim: Vec<Dimension>,
}

#[derive(Debug, Deserialize)]
struct Dimension {
    size: Integer,
}

/// A 64-bit integer. This form of JSON writes it as text, but some writers use a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Integer {
    Number(i64),
    Text(String),
}

impl Integer {
    fn value(&self) -> Option<i64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

fn integers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    let list = Vec::<Integer>::deserialize(deserializer)?;
    let values: Option<Vec<i64>> = list.iter().map(Integer::value).collect();
    values.ok_or_else(|| serde::de::Error::custom("not an integer"))
}

impl Document {
    pub(super) fn parse(json: &[u8]) -> Result<Self, ConversionError> {
        Ok(serde_json::from_slice(json)?)
    }

    /// The nodes that `outputs` depend on, each after the nodes that it depends on.
    pub(super) fn order(&self, outputs: &[&str]) -> Result<Vec<&Node>, ConversionError> {
        let mut index: HashMap<&str, &Node> = HashMap::new();
        for node in &self.model_topology.node {
            if index.insert(&node.name, node).is_some() {
                return Err(ConversionError::unsupported(format!("two nodes are named `{}`", node.name)));
            }
        }
        let mut ordered = Vec::new();
        // For each visited node, whether it is complete. An incomplete node waits for the nodes above it on the stack.
        let mut done: HashMap<&str, bool> = HashMap::new();
        let mut stack: Vec<&str> = outputs.iter().rev().copied().collect();
        while let Some(&name) = stack.last() {
            let node = *index
                .get(name)
                .ok_or_else(|| ConversionError::unsupported(format!("there is no node `{name}`")))?;
            match done.get(name) {
                Some(true) => {
                    stack.pop();
                }
                Some(false) => {
                    stack.pop();
                    done.insert(name, true);
                    ordered.push(node);
                }
                None => {
                    done.insert(name, false);
                    for input in node.inputs()?.into_iter().rev() {
                        match done.get(input) {
                            Some(true) => {}
                            Some(false) => {
                                return Err(ConversionError::unsupported(format!(
                                    "`{input}` depends on itself"
                                )));
                            }
                            None => stack.push(input),
                        }
                    }
                }
            }
        }
        Ok(ordered)
    }
}

impl Node {
    /// Names of the nodes whose first output is an input of this node. Control inputs have no value and are left out.
    pub(super) fn inputs(&self) -> Result<Vec<&str>, ConversionError> {
        let data = self.input.iter().filter(|name| !name.starts_with('^'));
        data.map(|name| match name.split_once(':') {
            None => Ok(name.as_str()),
            Some((name, "0")) => Ok(name),
            Some(_) => Err(self.fault("takes a second output of another node")),
        })
        .collect()
    }

    /// A flag; false where it is not set.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.attr.get(name).and_then(|attribute| attribute.b).unwrap_or(false)
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ConversionError> {
        self.attr.get(name).and_then(|attribute| attribute.s.as_deref()).map(|s| self.decode(s)).transpose()
    }

    /// A list of texts, empty where it is not set.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, ConversionError> {
        let list = self.attr.get(name).and_then(|attribute| attribute.list.as_ref());
        list.map_or(&[][..], |list| &list.s).iter().map(|s| self.decode(s)).collect()
    }

    fn decode(&self, base64: &str) -> Result<String, ConversionError> {
        let bytes = base64_simd::STANDARD.decode_to_vec(base64).ok();
        bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| self.fault("has an attribute that is no text"))
    }

    /// A list of integers from 0 to 2^20; `None` where it is not set.
    pub(super) fn sizes(&self, name: &str) -> Result<Option<Vec<usize>>, ConversionError> {
        let Some(list) = self.attr.get(name).and_then(|attribute| attribute.list.as_ref()) else {
            return Ok(None);
        };
        list.i.iter().map(|&value| self.size(value)).collect::<Result<_, _>>().map(Some)
    }

    /// Height, width and channels of a `Placeholder` with an open batch axis.
    pub(super) fn picture(&self) -> Result<[usize; 3], ConversionError> {
        let shape = self.attr.get("shape").and_then(|attribute| attribute.shape.as_ref());
        let dims = shape.map_or(&[][..], |shape| &shape.dim).iter().map(|dim| dim.size.value().unwrap_or(0));
        match dims.collect::<Vec<_>>()[..] {
            [-1 | 1, height, width, channels] => {
                Ok([self.size(height)?, self.size(width)?, self.size(channels)?])
            }
            _ => Err(self.fault("is not N x height x width x channels")),
        }
    }

    fn size(&self, value: i64) -> Result<usize, ConversionError> {
        let size = (0..=MAX_SIZE).contains(&value).then(|| usize::try_from(value).ok()).flatten();
        size.ok_or_else(|| self.fault(&format!("has a size of {value}")))
    }

    /// An error that names this node.
    pub(super) fn fault(&self, reason: &str) -> ConversionError {
        ConversionError::unsupported(format!("{} `{}` {reason}", self.op, self.name))
    }
}
