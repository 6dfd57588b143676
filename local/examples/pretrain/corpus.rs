//! The corpus: a seeded grammar of plain English. Flows in: a random number generator. Flows out:
//! one short document at a time, half of them chats. A module because this text is all that the
//! built-in base ever sees; like its words it was written for this purpose and is in the public
//! domain (CC0).

use fastrand::Rng;

use crate::words;

/// A source of documents.
pub struct Corpus {
    pub(crate) rng: Rng,
    drills: u8,
    pub(crate) lists: Lists,
}

/// The words, by what they are.
pub(crate) struct Lists {
    pub(crate) names: Vec<&'static str>,
    pub(crate) cities: Vec<&'static str>,
    pub(crate) things: Vec<&'static str>,
    pub(crate) animals: Vec<&'static str>,
    pub(crate) foods: Vec<&'static str>,
    pub(crate) people: Vec<&'static str>,
    pub(crate) places: Vec<&'static str>,
    pub(crate) adjectives: Vec<&'static str>,
    pub(crate) when: Vec<&'static str>,
    pub(crate) days: Vec<&'static str>,
    pub(crate) months: Vec<&'static str>,
    pub(crate) numbers: Vec<&'static str>,
}

fn list(words: &'static str) -> Vec<&'static str> {
    words.split_whitespace().collect()
}

impl Corpus {
    /// The same seed gives the same documents. `drills` is the percentage of exercises among them.
    pub fn new(seed: u64, drills: u8) -> Self {
        let lists = Lists {
            names: list(words::NAMES),
            cities: list(words::CITIES),
            things: list(words::THINGS),
            animals: list(words::ANIMALS),
            foods: list(words::FOODS),
            people: list(words::PEOPLE),
            places: list(words::PLACES),
            adjectives: list(words::ADJECTIVES),
            when: list(words::WHEN),
            days: list(words::DAYS),
            months: list(words::MONTHS),
            numbers: list(words::NUMBERS),
        };
        Self {
            rng: Rng::with_seed(seed),
            drills,
            lists,
        }
    }

    /// The next document: its text, and where the part begins that is worth learning. Of an exercise
    /// only the answer is: its question is made up and can't be foreseen.
    pub fn document(&mut self) -> (String, usize) {
        if self.drills > 0 && self.rng.u8(..100) < self.drills {
            return self.drill();
        }
        (self.plain(), 0)
    }

    fn plain(&mut self) -> String {
        if self.rng.u8(..10) < 3 {
            let sentences = 2 + self.rng.usize(..3);
            let text: Vec<String> = (0..sentences).map(|_| self.sentence()).collect();
            return text.join(" ");
        }
        let turns = 1 + usize::from(self.rng.u8(..10) == 0);
        let mut text = String::new();
        for turn in 0..turns {
            let (system, user, assistant) = self.task();
            if turn == 0 && self.rng.u8(..3) == 0 {
                text.push_str(&turn_of("system", &system));
            }
            text.push_str(&turn_of("user", &user));
            text.push_str(&turn_of("assistant", &assistant));
        }
        text
    }

    pub(crate) fn pick(&mut self, from: fn(&Lists) -> &Vec<&'static str>) -> &'static str {
        let list = from(&self.lists);
        list[self.rng.usize(..list.len())]
    }

    pub(crate) fn one<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.rng.usize(..choices.len())]
    }

    pub(crate) fn verb(&mut self) -> [&'static str; 4] {
        words::VERBS[self.rng.usize(..words::VERBS.len())]
    }

    pub(crate) fn name(&mut self) -> &'static str {
        self.pick(|lists| &lists.names)
    }

    pub(crate) fn thing(&mut self) -> &'static str {
        self.pick(|lists| &lists.things)
    }

    pub(crate) fn adjective(&mut self) -> &'static str {
        self.pick(|lists| &lists.adjectives)
    }

    /// "the old lamp", "a quick fox".
    pub(crate) fn phrase(&mut self) -> String {
        let noun = match self.rng.u8(..4) {
            0 => self.pick(|lists| &lists.animals),
            1 => self.pick(|lists| &lists.people),
            _ => self.thing(),
        };
        if self.rng.bool() {
            let adjective = self.adjective();
            let article = self.article(adjective);
            format!("{article} {adjective} {noun}")
        } else {
            format!("{} {noun}", self.article(noun))
        }
    }

    fn article(&mut self, next: &str) -> &'static str {
        match self.rng.u8(..5) {
            0 | 1 => "the",
            2 => self.one(&["my", "your", "his", "her", "our", "their"]),
            _ if next.starts_with(['a', 'e', 'i', 'o', 'u']) => "an",
            _ => "a",
        }
    }

    fn subject(&mut self) -> String {
        match self.rng.u8(..3) {
            0 => self.name().to_owned(),
            1 => format!("the {}", self.pick(|lists| &lists.people)),
            _ => {
                let adjective = self.adjective();
                format!("the {adjective} {}", self.pick(|lists| &lists.animals))
            }
        }
    }

    /// A word and the group that it is in.
    pub(crate) fn grouped(&mut self) -> (&'static str, &'static str) {
        match self.rng.u8(..5) {
            0 => ("animal", self.pick(|lists| &lists.animals)),
            1 => ("food", self.pick(|lists| &lists.foods)),
            2 => ("city", self.pick(|lists| &lists.cities)),
            3 => ("place", self.pick(|lists| &lists.places)),
            _ => ("thing", self.thing()),
        }
    }

    /// Any word that has a group.
    pub(crate) fn any_word(&mut self) -> &'static str {
        self.grouped().1
    }

    /// One plain sentence.
    pub(crate) fn sentence(&mut self) -> String {
        let subject = self.subject();
        let [base, third, past, ing] = self.verb();
        let object = self.phrase();
        let place = self.pick(|lists| &lists.places);
        let text = match self.rng.u8(..9) {
            0 => format!("{subject} {past} {object} in the {place}"),
            1 => format!(
                "{subject} {third} {object} {}",
                self.pick(|lists| &lists.when)
            ),
            2 => format!(
                "{subject} will {base} {object} on {}",
                self.pick(|lists| &lists.days)
            ),
            3 => format!(
                "in {}, {subject} was {ing} {object}",
                self.pick(|lists| &lists.months)
            ),
            4 => format!(
                "{object} is {} than {}",
                self.one(&["bigger", "older", "better", "smaller"]),
                self.phrase()
            ),
            5 => format!(
                "{subject} did not {base} {object} because it was {}",
                self.adjective()
            ),
            6 => format!(
                "there are {} {} and some {} in the {place}",
                self.pick(|lists| &lists.numbers),
                self.pick(|lists| &lists.foods),
                self.pick(|lists| &lists.foods)
            ),
            7 => format!(
                "when {subject} {past} {object}, everyone was {}",
                self.adjective()
            ),
            _ => format!(
                "{subject} lives in {} near the {place}",
                self.pick(|lists| &lists.cities)
            ),
        };
        format!("{}.", capital(&text))
    }
}

/// One turn in the chat template.
pub(crate) fn turn_of(role: &str, content: &str) -> String {
    format!("<|im_start|>{role}\n{content}<|im_end|>\n")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
