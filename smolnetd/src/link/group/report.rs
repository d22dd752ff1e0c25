//! What is due to be told.

use core::net::IpAddr;

use smoltcp::time::{Duration, Instant};

use super::{Groups, Membership, OLDER_REPORT_INTERVAL, REPORT_INTERVAL, is_reported};

/// Records in one report: with 20 bytes each they fit into the 1280 bytes that every link carries.
const MAX_RECORDS: usize = 60;

/// Something to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Of the current version.
    Current(Vec<Record>),
    /// To a router of an older version: a group is listened to.
    Member(IpAddr),
    /// To a router of an older version: it is no longer.
    Done(IpAddr),
}

/// One group in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: RecordKind,
    pub(super) group: IpAddr,
}

/// Record Type: RFC 3376 section 4.2.12, RFC 3810 section 5.2.12. None has sources: excluding none is listening to
/// all, including none is listening to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// MODE_IS_EXCLUDE
    IsExclude = 2,
    /// CHANGE_TO_INCLUDE_MODE
    ToInclude = 3,
    /// CHANGE_TO_EXCLUDE_MODE
    ToExclude = 4,
}

/// A report of the current version, RFC 3376 section 4.2 or RFC 3810 section 5.2, which differ in `kind` and in the
/// length of addresses. The checksum is still to be filled in.
pub(super) fn encode(kind: u8, records: &[Record]) -> Vec<u8> {
    let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
    let mut message = vec![kind, 0, 0, 0, 0, 0];
    message.extend(count.to_be_bytes());
    for record in records {
        message.extend([record.kind as u8, 0, 0, 0]);
        match record.group {
            IpAddr::V4(group) => message.extend(group.octets()),
            IpAddr::V6(group) => message.extend(group.octets()),
        }
    }
    message
}

impl Groups {
    /// One thing to be sent now; to be called until there is none.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Report> {
        self.deadline.filter(|deadline| *deadline <= now)?;
        let report = if self.is_older(now) {
            self.poll_older(now)
        } else {
            self.poll_current(now)
        };
        self.memberships
            .retain(|_, membership| membership.references > 0 || membership.change_at.is_some());
        self.update_deadline();
        report
    }

    fn poll_current(&mut self, now: Instant) -> Option<Report> {
        if self.general_at.take_if(|general| *general <= now).is_some() {
            for (_, asked) in self
                .memberships
                .iter_mut()
                .filter(|(group, asked)| asked.references > 0 && is_reported(**group))
            {
                asked.answer_at = Some(now);
            }
        }
        let mut records = Vec::new();
        for (&group, membership) in &mut self.memberships {
            if records.len() >= MAX_RECORDS {
                break;
            }
            if let Some(kind) =
                membership.record(now, || self.random.between(Duration::ZERO, REPORT_INTERVAL))
            {
                records.push(Record { kind, group });
            }
        }
        (!records.is_empty()).then_some(Report::Current(records))
    }

    fn poll_older(&mut self, now: Instant) -> Option<Report> {
        let is_due = |membership: &Membership| {
            let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            due(membership.change_at) || due(membership.answer_at)
        };
        let (&group, membership) = self
            .memberships
            .iter_mut()
            .find(|(_, membership)| is_due(membership))?;
        if membership.references == 0 {
            // RFC 2236 section 3, RFC 2710 section 4: said once.
            membership.change_at = None;
            return Some(Report::Done(group));
        }
        membership.record(now, || {
            self.random.between(Duration::ZERO, OLDER_REPORT_INTERVAL)
        });
        Some(Report::Member(group))
    }
}

impl Membership {
    /// What is due to be said of the group. A change says everything that an answer would (RFC 3810 section 6.3).
    fn record(&mut self, now: Instant, pause: impl FnOnce() -> Duration) -> Option<RecordKind> {
        let answers = self.answer_at.take_if(|at| *at <= now).is_some();
        if self.change_at.is_none_or(|at| at > now) {
            return answers.then_some(RecordKind::IsExclude);
        }
        self.changes = self.changes.saturating_sub(1);
        // RFC 3376 section 5.1, RFC 3810 section 6.1: repeated within the interval.
        self.change_at = (self.changes > 0).then(|| now + pause());
        Some(match self.references {
            0 => RecordKind::ToInclude,
            _ => RecordKind::ToExclude,
        })
    }
}
