//! Templates, which callers keep and send back.

use std::sync::LazyLock;

use faceline_gateway::families::biometric::template::{FaceFacts, Template, TemplateCodec};
use faceline_shared::face::{Embedding, Eyes, ImageType, PixelBox};
use faceline_shared::seal::Purpose;

use crate::ring::ring;
use crate::{MIB, Target};

pub(crate) const TARGET: Target = Target {
    name: "template",
    run: template,
    seeds,
    words: &[
        b"=",
        b"\xdc\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\x93",
        b"\x01\x86",
        b"\x02\x86",
        b"\xc0",
        b"\xcb",
    ],
    is_dotted_base64: true,
    max_allocated_bytes: 8 * MIB,
};

/// The opened templates of [`seeds`], as `Debug` text, because a coordinate that is NaN is not equal to itself.
static SEALED: LazyLock<Vec<String>> = LazyLock::new(|| samples().iter().map(shown).collect());

static CODEC: LazyLock<TemplateCodec> = LazyLock::new(|| TemplateCodec::new(ring()));

/// Opens the bytes as a template. Then opens them as content that this installation has sealed.
///
/// # Panics
/// A template opens that was never sealed, or opened content does not survive a round trip.
pub fn template(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(opened) = CODEC.decode(text)
    {
        assert!(SEALED.contains(&shown(&opened)), "it opens and was never sealed: {opened:?}");
    }
    // Only this installation seals templates, but earlier and later versions of it may have sealed them, too.
    if let Ok(opened) = CODEC.decode(&sealed(data)) {
        let text =
            CODEC.encode(&opened.embedding, opened.facts.as_ref()).expect("what was read can be written");
        // Some content has a shorter encoding than the one that is written here, whose text may exceed the decoder's
        // limit.
        if let Ok(again) = CODEC.decode(&text) {
            assert_eq!(shown(&again), shown(&opened));
        }
    }
}

fn shown(template: &Template) -> String {
    format!("{template:?}")
}

fn sealed(content: &[u8]) -> String {
    let sealed = ring().seal(Purpose::Template, b"template:1", content).expect("content can be sealed");
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(sealed)
}

/// Templates with and without facts.
fn samples() -> Vec<Template> {
    let vector: Vec<f32> = (0..512_i16).map(|index| f32::from(index - 256) / 6000.0).collect();
    let facts = FaceFacts {
        digest: "8b11d3b37fcdb71da6b26d1c601c262a37b4c0f39edfbd51978cc46ace122862".into(),
        image_type: ImageType::IdDocument,
        quality: -495,
        eyes: Eyes { x1: 1220.5, y1: 1891.75, x2: 1621.25, y2: 1873.5 },
        face_box: Some(PixelBox { x: 900, y: 1500, width: 1000, height: 1200 }),
        rotation: Some(true),
    };
    let embedding = |vector: &[f32]| Embedding::new("FL1_512", 1, vector);
    vec![
        Template { embedding: embedding(&vector), facts: Some(facts.clone()) },
        Template { embedding: embedding(&vector), facts: None },
        Template {
            embedding: embedding(&[0.5]),
            facts: Some(FaceFacts { face_box: None, rotation: None, ..facts }),
        },
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for Template { embedding, facts } in samples() {
        let text = CODEC.encode(&embedding, facts.as_ref()).expect("a template can be written");
        seeds.push(text.into_bytes());
        let mut content = rmp_serde::to_vec(&embedding).expect("an embedding can be written");
        if let Some(facts) = facts {
            content.push(1);
            content.extend(rmp_serde::to_vec_named(&facts).expect("facts can be written"));
        }
        seeds.push(content);
    }
    seeds
}
