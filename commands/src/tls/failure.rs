//! What went wrong in TLS, in words: what happened, where, and what to do.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

use crate::Error;

/// An error of the TLS library in a connection to `host`; the authorities are those in `roots`.
pub(super) fn explain(error: &TlsError, host: &str, roots: &str) -> Error {
    let text = match error {
        TlsError::InvalidCertificate(reason) => {
            format!(
                "{host} cannot be trusted: {}",
                certificate(reason, host, roots)
            )
        }
        TlsError::AlertReceived(alert) => {
            format!("{host} refuses: TLS alert {alert:?}{}", advice(*alert))
        }
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("{host} does not speak TLS on this port: is it http://, or another port?")
        }
        TlsError::PeerIncompatible(reason) => format!(
            "{host} and this curl have no way of TLS in common ({reason:?}): TLS 1.2 and 1.3 are spoken here"
        ),
        TlsError::FailedToGetRandomBytes => {
            "no random bytes: /scheme/rand cannot be read, is randd running?".into()
        }
        TlsError::FailedToGetCurrentTime => {
            "the time of day cannot be read, and certificates have dates".into()
        }
        other => format!("{host}: TLS fails: {other}"),
    };
    Error::Answer(text)
}

fn certificate(reason: &CertificateError, host: &str, roots: &str) -> String {
    use CertificateError as E;
    match reason {
        E::UnknownIssuer => format!(
            "its certificate is of an authority that is not known in {roots}; --cacert FILE makes one known, -k trusts \
             anybody"
        ),
        E::ExpiredContext { time, not_after } => format!(
            "its certificate expired on {}, and it is {} by the clock of this machine",
            date(*not_after),
            date(*time)
        ),
        E::Expired => "its certificate has expired".into(),
        E::NotValidYetContext { time, not_before } => format!(
            "its certificate is valid from {} on, and it is {} by the clock of this machine: is the clock right?",
            date(*not_before),
            date(*time)
        ),
        E::NotValidYet => "its certificate is not valid yet: is the clock right?".into(),
        E::NotValidForNameContext { presented, .. } => {
            let names: Vec<String> = presented.iter().take(5).map(|n| printable(n)).collect();
            match names.is_empty() {
                true => "its certificate has no name in it".into(),
                false => format!(
                    "its certificate is for {}, and not for {host}: is the name right?",
                    names.join(", ")
                ),
            }
        }
        E::NotValidForName => format!("its certificate is not for {host}: is the name right?"),
        E::BadEncoding => "its certificate is malformed".into(),
        E::BadSignature => "its certificate is not signed by whom it says".into(),
        E::Revoked => "its certificate has been revoked".into(),
        other => format!("its certificate is refused: {other}"),
    }
}

/// What a server's certificate says is shown on a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// What a user can do about an alert (RFC 8446 section 6.2).
fn advice(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
            " (it may want an older TLS than 1.2, which is not spoken here)"
        }
        AlertDescription::UnrecognisedName => {
            " (it serves no site of this name: is the name right?)"
        }
        AlertDescription::CertificateRequired => {
            " (it wants to see a certificate of yours, which this curl does not have)"
        }
        _ => "",
    }
}

/// A day as 2026-07-31, by the calendar of today for all times (RFC 3339).
fn date(time: UnixTime) -> String {
    // Days are counted from 0000-03-01, so that a leap day ends its year; 146,097 days are 400 years.
    let days = time.as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (4_107_542_399, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
            (1_767_225_599, "2025-12-31"),
        ] {
            assert_eq!(date(at(seconds)), text);
        }
        // Whatever a certificate says, no arithmetic overflows.
        assert!(!date(at(u64::MAX)).is_empty());
    }

    #[test]
    fn every_distrust_has_its_own_words_and_a_way_out() {
        let expired = CertificateError::ExpiredContext {
            time: at(1_767_225_600),
            not_after: at(951_782_400),
        };
        let early = CertificateError::NotValidYetContext {
            time: at(0),
            not_before: at(951_782_400),
        };
        for (reason, words) in [
            (CertificateError::UnknownIssuer, "--cacert"),
            (expired, "expired on 2000-02-29, and it is 2026-01-01"),
            (early, "valid from 2000-02-29 on, and it is 1970-01-01"),
            (CertificateError::BadSignature, "not signed"),
        ] {
            let error = TlsError::InvalidCertificate(reason);
            let text = explain(&error, "host.lab", "/ca.pem").to_string();
            assert!(text.starts_with("host.lab cannot be trusted: "), "{text}");
            assert!(text.contains(words), "{text}");
        }
        let alert = TlsError::AlertReceived(AlertDescription::ProtocolVersion);
        let text = explain(&alert, "host.lab", "").to_string();
        assert!(text.contains("ProtocolVersion (it may want"), "{text}");
    }
}
