//! Who may import whom. `ARCHITECTURE.md` prints this table.

/// What one folder (or file) directly under `src` may name.
pub(crate) struct Row {
    pub(crate) folder: &'static str,
    /// Other folders of this crate. Each stands above in the table, so there are no cycles.
    pub(crate) imports: &'static [&'static str],
    /// Messages of the wire: the crate `beam_proto`.
    pub(crate) wire: bool,
    /// Async code: the crates `tokio` and `tonic`.
    pub(crate) rim: bool,
    /// What differs from run to run: `std::env`, `Instant`, `SystemTime`.
    pub(crate) world: bool,
}

const fn row(
    folder: &'static str,
    imports: &'static [&'static str],
    [wire, rim, world]: [bool; 3],
) -> Row {
    Row {
        folder,
        imports,
        wire,
        rim,
        world,
    }
}

const YES: bool = true;
const NO: bool = false;

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    //                                                                              wire  rim  world
    row("error",     &[],                                                           [NO,  NO,  NO]),
    row("element",   &["error"],                                                    [NO,  NO,  NO]),
    row("window",    &["error", "element"],                                         [NO,  NO,  NO]),
    row("dofn",      &["error", "element", "window"],                               [NO,  NO,  NO]),
    row("model",     &["error", "element", "window", "dofn"],                       [YES, NO,  NO]),
    row("exec",      &["error", "element", "window", "dofn", "model"],              [NO,  NO,  NO]),
    row("pipeline",  &["error", "element", "window", "dofn", "model"],              [YES, NO,  YES]),
    row("harness",   &["error", "element", "window", "dofn", "model", "exec"],      [YES, YES, YES]),
    row("submit",    &["error", "element", "window", "dofn", "model", "exec",
                       "pipeline", "harness"],                                      [YES, YES, YES]),
    row("expansion", &["error", "element", "window", "dofn", "model", "pipeline",
                       "harness"],                                                  [YES, YES, YES]),
    row("testing",   &["error", "element", "window", "dofn", "model", "exec",
                       "pipeline", "harness", "submit", "expansion"],               [YES, YES, YES]),
    row("cli",       &["error", "element", "window", "dofn", "model", "exec",
                       "pipeline", "harness", "submit", "expansion", "testing"],    [YES, YES, YES]),
    row("bin",       &["error", "element", "window", "dofn", "model", "exec",
                       "pipeline", "harness", "submit", "expansion", "testing",
                       "cli"],                                                      [NO,  YES, YES]),
];

/// The table as `ARCHITECTURE.md` prints it.
pub(crate) fn markdown() -> String {
    let mark = |yes: bool| if yes { "yes" } else { "" };
    let mut text =
        String::from("| folder | may import | wire | rim | world |\n|---|---|---|---|---|\n");
    for row in ROWS {
        let imports: Vec<String> = row.imports.iter().map(|name| format!("`{name}`")).collect();
        let cells = [
            format!("`{}`", row.folder),
            imports.join(", "),
            mark(row.wire).to_owned(),
            mark(row.rim).to_owned(),
            mark(row.world).to_owned(),
        ];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}
