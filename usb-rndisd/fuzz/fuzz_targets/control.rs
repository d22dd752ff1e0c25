//! Messages of the control channel: whatever is read is written back as something that reads the
//! same, and no buffer lies outside the bytes that were given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redox_host as _;
use usb_rndisd::message::packet::{HEADER_LENGTH, Header};
use usb_rndisd::message::{Control, DecodeError};

fuzz_target!(|bytes: &[u8]| {
    match Control::decode(bytes) {
        Ok(message) => {
            let written = message.encode();
            assert_eq!(
                Control::decode(&written),
                Ok(message),
                "written as {written:02x?}"
            );
            let (Control::Query { buffer, .. }
            | Control::QueryComplete { buffer, .. }
            | Control::Set { buffer, .. }
            | Control::IndicateStatus { buffer, .. }) = message
            else {
                return;
            };
            let within = bytes.as_ptr_range();
            let part = buffer.as_ptr_range();
            assert!(buffer.is_empty() || within.start <= part.start && part.end <= within.end);
        }
        Err(DecodeError::Nothing) => assert!(bytes.first().is_none_or(|&first| first == 0)),
        Err(_) => {}
    }
    if let Some(header) = Header::read(bytes) {
        let mut written = [0xff; HEADER_LENGTH];
        assert!(header.write(&mut written));
        assert_eq!(Header::read(&written), Some(header));
    }
});
