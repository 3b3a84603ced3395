//! Rows as they come: for a terminal, for a document, for a program.

/// How rows look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Markdown,
    Json,
}

/// Figures beside their goals.
pub(crate) struct Table {
    form: Form,
    rows: usize,
}

impl Table {
    pub(crate) fn new(form: Form) -> Self {
        match form {
            Form::Text => println!("{:58} {:34} goal", "figure", "measured"),
            Form::Markdown => println!("| figure | measured | goal |\n|---|---|---|"),
            Form::Json => println!("["),
        }
        Self { form, rows: 0 }
    }

    /// One more row, shown at once.
    pub(crate) fn row(&mut self, figure: &str, measured: &str, goal: &str) {
        match self.form {
            Form::Text => println!("{figure:58} {measured:34} {goal}"),
            Form::Markdown => println!("| {figure} | {measured} | {goal} |"),
            Form::Json => {
                let comma = if self.rows == 0 { " " } else { "," };
                println!(
                    "{comma}{{\"figure\": {figure:?}, \"measured\": {measured:?}, \"goal\": {goal:?}}}"
                );
            }
        }
        self.rows += 1;
    }

    pub(crate) fn end(self) {
        if self.form == Form::Json {
            println!("]");
        }
    }
}
