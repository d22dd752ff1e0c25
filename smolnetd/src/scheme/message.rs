//! The payloads of `SYS_CALL` on a socket: how Redox's C library lays out `recvmsg` and `sendmsg`.
//!
//! All lengths are native-endian `usize`, 8 bytes on the 64-bit machines that Redox runs on. Request of RecvMsg:
//! `[name length][payload length][control length]…`, the buffer being large enough for the answer:
//! `[name length][name][payload length][payload][control]` without gaps. Request of SendMsg:
//! `[payload length][payload][control]`.

const WORD: usize = size_of::<usize>();

/// What a RecvMsg request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Whether the sender's name is wanted. Its textual form is longer than the C structure whose size the caller
    /// gives; the C library leaves 64 bytes of slack for that.
    pub(crate) wants_name: bool,
    /// Room for the payload in bytes.
    pub(crate) payload: usize,
}

fn word(bytes: &[u8], index: usize) -> Option<usize> {
    let at = index.checked_mul(WORD)?;
    let bytes = bytes.get(at..at.checked_add(WORD)?)?;
    Some(usize::from_ne_bytes(bytes.try_into().ok()?))
}

/// Reads a RecvMsg request; `None` if it is too short or promises more room than the buffer has.
pub(crate) fn receive_room(buffer: &[u8]) -> Option<Room> {
    let (name, payload, control) = (word(buffer, 0)?, word(buffer, 1)?, word(buffer, 2)?);
    let needed = (3 * WORD)
        .checked_add(name)?
        .checked_add(payload)?
        .checked_add(control)?;
    (needed <= buffer.len()).then_some(Room {
        wants_name: name > 0,
        payload,
    })
}

/// Writes the answer of RecvMsg over the request and returns its length in bytes; `None` if the buffer is too small.
pub(crate) fn write_received(buffer: &mut [u8], name: &str, payload: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut put = |bytes: &[u8]| -> Option<()> {
        let end = at + bytes.len();
        buffer.get_mut(at..end)?.copy_from_slice(bytes);
        at = end;
        Some(())
    };
    put(&name.len().to_ne_bytes())?;
    put(name.as_bytes())?;
    put(&payload.len().to_ne_bytes())?;
    put(payload)?;
    Some(at)
}

/// The payload of a SendMsg request; `None` if its length lies.
pub(crate) fn sent_payload(buffer: &[u8]) -> Option<&[u8]> {
    let length = word(buffer, 0)?;
    buffer.get(WORD..WORD.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: usize, payload: usize, control: usize, size: usize) -> Vec<u8> {
        let mut buffer = vec![0; size];
        for (index, value) in [name, payload, control].into_iter().enumerate() {
            buffer[index * WORD..][..WORD].copy_from_slice(&value.to_ne_bytes());
        }
        buffer
    }

    #[test]
    fn a_datagram_and_its_sender_come_back_without_gaps() {
        let mut buffer = request(32, 100, 0, 24 + 8 + 32 + 8 + 100 + 8 + 64);
        let room = receive_room(&buffer).unwrap();
        assert_eq!((room.wants_name, room.payload), (true, 100));
        let length = write_received(&mut buffer, "/scheme/udp/10.0.2.2:53", b"answer");
        assert_eq!(length, Some(8 + 23 + 8 + 6));
        assert_eq!(word(&buffer, 0), Some(23));
        assert_eq!(&buffer[8..31], b"/scheme/udp/10.0.2.2:53");
        assert_eq!(&buffer[31..39], &6usize.to_ne_bytes());
        assert_eq!(&buffer[39..45], b"answer");
    }

    #[test]
    fn the_end_of_a_stream_is_two_zero_lengths() {
        let mut buffer = request(0, 10, 0, 200);
        assert!(!receive_room(&buffer).unwrap().wants_name);
        assert_eq!(write_received(&mut buffer, "", b""), Some(16));
        assert_eq!(&buffer[..16], &[0; 16]);
    }

    #[test]
    fn a_request_that_promises_more_than_its_buffer_is_refused() {
        assert_eq!(receive_room(&request(0, 100, 0, 100)), None);
        assert_eq!(receive_room(&request(usize::MAX, 1, 0, 100)), None);
        assert_eq!(receive_room(&[0; 23]), None);
        assert_eq!(sent_payload(&[9; 7]), None);
        assert_eq!(sent_payload(&request(17, 0, 0, 24)), None);
        assert_eq!(
            sent_payload(&request(16, 0, 0, 24)).map(<[u8]>::len),
            Some(16)
        );
    }
}
