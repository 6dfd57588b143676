//! The user's identity: reads, writes, acquires and renews `~/.arkor/credentials.json`. Messages never
//! contain a token.

mod acquire;
mod identity;
pub mod login;
mod refresh;
mod renewals;
mod store;
mod stored;
mod token;
mod whose;

pub use acquire::{anonymous, ensure};
pub use identity::{Access, Identity, Listener};
pub use store::{sign_in, sign_out, write};
pub use stored::{Credentials, Stored, check_replaceable, path, read};
pub use token::{Answer, Exchange, TokenRequest, within_fetch_limit};
pub use whose::{check_destination, local_identity, signed_in};
