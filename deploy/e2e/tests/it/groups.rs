//! `faceline-models` with groups of people, and with pictures of several faces.

use std::fs;

use crate::models::{people, run};

#[tokio::test]
async fn an_evaluation_shows_the_rates_of_groups() {
    let folder = people();
    let list = folder.path().join("list.csv");
    fs::write(&list, "person,origin\nobama,one\nbiden,two\nnobody,two\n").unwrap();
    let arguments =
        ["evaluate", "verification", "--dataset", ".", "--groups", "list.csv", "--report", "report"];
    let (success, text, error) = run(&arguments, folder.path()).await;
    assert!(success, "{error}");
    for line in ["by group, at most 5 pictures", "origin one (1, 0)", "origin across groups (2, 3)"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let json = fs::read(folder.path().join("report/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        (&json["groups"][0]["name"], &json["groups"][0]["genuine_pairs"]),
        (&"origin one".into(), &3.into())
    );

    fs::remove_dir_all(folder.path().join("report")).unwrap();

    // The tool reads the list in the data set without an option. With one picture per person there are impostor pairs
    // only.
    fs::rename(&list, folder.path().join("groups.csv")).unwrap();
    fs::remove_file(folder.path().join("obama/obama2.jpg")).unwrap();
    fs::remove_file(folder.path().join("obama/obama3.jpg")).unwrap();
    let (success, text, error) = run(&["evaluate", "verification", "--dataset", "."], folder.path()).await;
    assert!(success && text.contains("no genuine pairs"), "{error}{text}");
    assert!(text.contains("origin across groups (2, 1)") && text.contains("no pairs"), "{text}");

    fs::write(folder.path().join("groups.csv"), "name,origin\nobama,one\n").unwrap();
    let (success, _, error) = run(&["evaluate", "verification", "--dataset", "."], folder.path()).await;
    assert!(!success && error.contains("groups.csv, line 1: there is no column `person`"), "{error}");
}

#[tokio::test]
async fn second_faces_are_counted_by_ratio() {
    let folder = people();
    fs::write(folder.path().join("nobody/notes.txt"), "no picture").unwrap();
    let (success, text, error) = run(&["evaluate", "faces", "--dataset", "."], folder.path()).await;
    assert!(success, "{error}");
    assert!(text.starts_with("1 files are no pictures\n5 pictures of one person, 0 of several"), "{text}");
    assert!(text.contains(" 0.65     0.00 %"), "{text}");
}
