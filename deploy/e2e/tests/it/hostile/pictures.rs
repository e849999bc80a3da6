//! Pictures that are expensive or malformed, and files that are not pictures.

use faceline_models::SplitMix64;
use image::ImageFormat;

use super::forge::{
    animated_webp, black_png, chunk, encode, gif, png, scene, tiff, with_segments, with_size, zeros,
};
use super::wire::{face, post};
use super::{AttackedService, Case};

const REFUSED: &[u16] = &[400];
/// The picture is valid but unusual, and shows no face.
const NO_FACE: &[u16] = &[200];
const EITHER: &[u16] = &[200, 400];

const FORMATS: [ImageFormat; 8] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Gif,
    ImageFormat::Tiff,
    ImageFormat::Tga,
    ImageFormat::Pnm,
];

/// Memory for two decoders with pictures of the largest size, the models, and the bodies.
const MAX_MEMORY_BYTES: usize = 1 << 30;

#[tokio::test]
async fn hostile_pictures_are_refused() {
    let mut service = AttackedService::start(&[]).await;
    for (name, picture, expected) in bombs().into_iter().chain(oddities()).chain(others()) {
        service.exchange_case(&Case::new(name, post("", &face(&picture)), expected)).await;
    }
    service.assert_serves("the forged ones").await;
    for format in FORMATS {
        let whole = encode(&scene(64, 48), format);
        for cut in (0..whole.len()).step_by(whole.len() / 12 + 1) {
            let name = format!("{format:?} cut at {cut} of {}", whole.len());
            service.exchange_case(&Case::new(name, post("", &face(&whole[..cut])), EITHER)).await;
        }
        let mut random = SplitMix64::new(format as u64);
        let mut below = |bound: usize| (random.bits() % bound as u64) as usize;
        for round in 0..20 {
            let mut bytes = whole.clone();
            for _ in 0..=round / 4 {
                let at = below(bytes.len());
                bytes[at] ^= 1 << below(8);
            }
            let name = format!("{format:?} with flipped bits, round {round}");
            service.exchange_case(&Case::new(name, post("", &face(&bytes)), EITHER)).await;
        }
    }
    service.assert_unharmed("pictures", MAX_MEMORY_BYTES).await;
}

type Forged = (&'static str, Vec<u8>, &'static [u16]);

/// Small files that claim to be large pictures, or decode to large ones.
fn bombs() -> Vec<Forged> {
    let jpeg = encode(&scene(64, 48), ImageFormat::Jpeg);
    let grey = |width, height| {
        vec![(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    };
    let text = |content: &[u8]| chunk(b"zTXt", &[b"Comment\0\0", content].concat());
    let mut bmp = encode(&scene(8, 8), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0x30, 0x75, 0, 0, 0x30, 0x75, 0, 0]);
    let mut upside_down = bmp.clone();
    upside_down[18..26].copy_from_slice(&[0, 0, 0, 0x80, 0, 0, 0, 0x80]);
    let mut tga = encode(&scene(8, 8), ImageFormat::Tga);
    tga[12..16].copy_from_slice(&[0xff; 4]);
    let canvas = [b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".as_slice(), &[0xff; 6]].concat();
    let progressive = {
        let mut bytes = with_size(&jpeg, 7000, 7000);
        let frame = bytes.windows(2).position(|marker| marker == b"\xff\xc0").unwrap();
        bytes[frame + 1] = 0xc2;
        let end = bytes.len() - 2;
        bytes.splice(end..end, [0xff, 0xda, 0, 2].repeat(90));
        bytes
    };
    vec![
        ("900 megapixels of PNG", black_png(30_000, 30_000, b""), REFUSED),
        ("a PNG of one line of 49 megapixels", black_png(49_000_000, 1, b""), REFUSED),
        ("a PNG of one column of 49 megapixels", black_png(1, 49_000_000, b""), REFUSED),
        ("a PNG that says it is the largest", png(u32::MAX >> 1, u32::MAX >> 1, b"", &zeros(9)), REFUSED),
        ("a PNG without size", png(0, 0, b"", &zeros(9)), REFUSED),
        ("a PNG of 49 megapixels whose data are not there", png(7000, 7000, b"", &zeros(9)), REFUSED),
        ("a PNG with 256 MB too many", png(64, 64, b"", &zeros(256 << 20)), NO_FACE),
        ("a PNG with a text of 256 MB", black_png(64, 64, &text(&zeros(256 << 20))), NO_FACE),
        (
            "a PNG with a profile of 256 MB",
            black_png(64, 64, &chunk(b"iCCP", &[b"x\0\0", zeros(256 << 20).as_slice()].concat())),
            NO_FACE,
        ),
        ("a PNG with 100,000 chunks", black_png(64, 64, &chunk(b"tEXt", b"a\0b").repeat(100_000)), NO_FACE),
        ("a JPEG of 65,500 x 65,500", with_size(&jpeg, 65_500, 65_500), REFUSED),
        ("a JPEG without size", with_size(&jpeg, 0, 0), REFUSED),
        ("90 scans over 49 megapixels", progressive, REFUSED),
        ("a BMP of 30,000 x 30,000", bmp, REFUSED),
        ("a BMP of less than no size", upside_down, REFUSED),
        ("a TGA of 65,535 x 65,535", tga, REFUSED),
        ("a WebP of 2^24 x 2^24", canvas, REFUSED),
        ("a PNM of 30,000 x 30,000", b"P6 30000 30000 255\n".to_vec(), REFUSED),
        (
            "a PNM whose size has too many digits",
            format!("P6 {0} {0} 255\n", "9".repeat(1000)).into_bytes(),
            REFUSED,
        ),
        ("a PNM that is all comment", [b"P6\n#".as_slice(), &vec![b'a'; 4 << 20]].concat(), REFUSED),
        ("a GIF of 65,535 x 65,535", gif((65_535, 65_535), (65_535, 65_535), 1), REFUSED),
        ("a GIF whose frame is larger than its screen", gif((64, 64), (65_535, 65_535), 1), REFUSED),
        ("a GIF of 100,000 frames", gif((1, 1), (1, 1), 100_000), NO_FACE),
        (
            "a WebP of 10,000 frames",
            animated_webp(&encode(&scene(16, 16), ImageFormat::WebP), 16, 10_000),
            NO_FACE,
        ),
        ("a TIFF of 2^32 x 2^32", tiff(&grey(u32::MAX, u32::MAX), 0, b""), REFUSED),
        (
            "a TIFF with 2^32 strips",
            tiff(
                &[grey(7000, 7000), vec![(273, 4, u32::MAX, 200), (278, 4, 1, 1), (279, 4, u32::MAX, 200)]]
                    .concat(),
                0,
                &[0; 999],
            ),
            REFUSED,
        ),
        ("a TIFF that leads in a circle", tiff(&grey(64, 64), 8, b""), REFUSED),
    ]
}

/// Valid files with a large or unusual content.
fn oddities() -> Vec<Forged> {
    let jpeg = encode(&scene(64, 48), ImageFormat::Jpeg);
    // An entry and the next-directory offset of a directory, both of which point back to the directory.
    let circle = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0";
    let mut many_scans = jpeg.clone();
    many_scans.splice(jpeg.len() - 2..jpeg.len() - 2, [0xff, 0xda].repeat(5000));
    vec![
        (
            "a JPEG with 4 MB of EXIF",
            with_segments(&jpeg, 0xe1, &[b"Exif\0\0".as_slice(), &[0; 60_000]].concat(), 64),
            NO_FACE,
        ),
        ("a JPEG whose EXIF leads in a circle", with_segments(&jpeg, 0xe1, circle, 1), NO_FACE),
        (
            "a JPEG with 4 MB of profile",
            with_segments(&jpeg, 0xe2, &[b"ICC_PROFILE\0\x01\xff".as_slice(), &[0; 60_000]].concat(), 64),
            EITHER,
        ),
        ("a JPEG with 100,000 comments", with_segments(&jpeg, 0xfe, b"", 100_000), NO_FACE),
        ("a JPEG with 5000 scans", many_scans, REFUSED),
        (
            "a JPEG of restart markers",
            [b"\xff\xd8\xff".as_slice(), &b"\xd0\xff".repeat(1 << 20)].concat(),
            REFUSED,
        ),
        ("a JPEG with a ZIP behind it", [jpeg.as_slice(), b"PK\x03\x04", &[7; 5000]].concat(), EITHER),
        (
            "a PNG with a script in it",
            black_png(64, 64, &chunk(b"tEXt", b"a\0<script>alert(1)</script><?php ?>")),
            NO_FACE,
        ),
        ("a PNG of 16 bits", encode(&scene(64, 48).to_rgba16().into(), ImageFormat::Png), NO_FACE),
        ("a PNG in grey of 16 bits", encode(&scene(64, 48).to_luma16().into(), ImageFormat::Png), NO_FACE),
        ("a GIF with a script in it", b"GIF89a/*\0\0\0\0\0*/=1;alert(1)".to_vec(), REFUSED),
    ]
}

/// Files that are not pictures.
fn others() -> Vec<Forged> {
    let texts: [(&str, &[u8]); 14] = [
        ("nothing", b""),
        ("one byte", b"\xff"),
        ("zeros", &[0; 4096]),
        ("the start of a JPEG", b"\xff\xd8\xff"),
        ("the start of a PNG", b"\x89PNG\r\n\x1a\n"),
        ("a text", b"There is nothing to see here.\n"),
        ("JSON", b"{\"image\": \"data:image/png;base64,iVBORw0KGgo=\"}"),
        ("base64", b"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRof"),
        (
            "an SVG with an entity",
            b"<?xml version=\"1.0\"?><!DOCTYPE s [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><svg>&x;</svg>",
        ),
        ("a playlist", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n"),
        ("a script for ffmpeg", b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
        (
            "a script for ImageMagick",
            b"push graphic-context\nimage over 0,0 0,0 'https://example.com/x.jpg'\n",
        ),
        ("HTML", b"<html><img src=x onerror=alert(1)></html>"),
        ("an MP4", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41\0\0\0\x08free"),
    ];
    texts.map(|(name, bytes)| (name, bytes.to_vec(), REFUSED)).to_vec()
}
