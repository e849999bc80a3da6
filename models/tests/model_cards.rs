//! Every model that ships has a card, and each card has its sections.

use std::collections::BTreeSet;

use faceline_models::manifest::Manifest;

const CARDS: &str = include_str!("../../docs/model-cards.md");

/// Sections that every card must have, by the first cell of their rows.
const SECTIONS: [&str; 8] =
    ["purpose", "source", "training data", "input", "good for", "figures", "recalibrate", "ethics"];

#[test]
fn every_model_that_ships_has_a_card_with_all_sections() {
    let manifest = Manifest::default_manifest().unwrap();
    let cards: Vec<(&str, &str)> =
        CARDS.split("\n## ").skip(1).map(|card| card.split_once('\n').unwrap()).collect();
    for model in &manifest.models {
        let card = cards.iter().find(|(name, _)| *name == model.name);
        let (name, text) = card.unwrap_or_else(|| panic!("docs/model-cards.md has no card `{}`", model.name));
        for section in SECTIONS {
            assert!(text.contains(&format!("\n| {section}")), "the card `{name}` lacks `{section}`");
        }
    }
    let names: BTreeSet<&str> = cards.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), cards.len(), "a model has two cards");
}
