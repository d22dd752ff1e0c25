//! What an event of the queue is about.

use crate::ports::LinkId;

/// Events carry the number of what they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Server(usize),
    Netcfg,
    Announcement,
    Data(LinkId),
    LinkState(LinkId),
}

/// Tokens below are not adapters'.
const FIRST_ADAPTER_TOKEN: usize = 16;
const NETCFG_TOKEN: usize = 8;
const ANNOUNCEMENT_TOKEN: usize = 9;

impl Token {
    pub(super) fn number(self) -> usize {
        match self {
            Token::Server(index) => index,
            Token::Netcfg => NETCFG_TOKEN,
            Token::Announcement => ANNOUNCEMENT_TOKEN,
            Token::Data(link) => FIRST_ADAPTER_TOKEN + 2 * link.0 as usize,
            Token::LinkState(link) => FIRST_ADAPTER_TOKEN + 2 * link.0 as usize + 1,
        }
    }

    pub(super) fn from_number(number: usize) -> Option<Token> {
        let Some(adapter) = number.checked_sub(FIRST_ADAPTER_TOKEN) else {
            return match number {
                NETCFG_TOKEN => Some(Token::Netcfg),
                ANNOUNCEMENT_TOKEN => Some(Token::Announcement),
                index => Some(Token::Server(index)),
            };
        };
        let link = LinkId(u32::try_from(adapter / 2).ok()?);
        Some(match adapter % 2 {
            0 => Token::Data(link),
            _ => Token::LinkState(link),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back_as_what_it_was() {
        for token in [
            Token::Server(0),
            Token::Server(3),
            Token::Netcfg,
            Token::Announcement,
            Token::Data(LinkId(0)),
            Token::LinkState(LinkId(0)),
            Token::Data(LinkId(7)),
            Token::LinkState(LinkId(u32::MAX)),
        ] {
            assert_eq!(Token::from_number(token.number()), Some(token));
        }
    }
}
