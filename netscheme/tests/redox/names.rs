//! How a scheme gets its name, and how a second instance fares.

use crate::support::*;
use netscheme::Server;
use netscheme::server::StartError;
use redox_host::ProcessSpec;
use syscall::error::ENODEV;
use syscall::flag::O_RDWR;

#[test]
fn a_second_start_says_who_holds_the_name() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("second"));
    let error = Server::create("lines", 0).map(|_| ()).unwrap_err();
    assert_eq!(
        error,
        StartError::NameHeld {
            name: "lines".to_owned()
        }
    );
    assert_eq!(
        error.to_string(),
        "/scheme/lines is served already: another instance is running"
    );

    let (end, peer) = (open("lines/a", O_RDWR), open("lines/a.peer", O_RDWR));
    write(&peer, "undisturbed").unwrap();
    assert_eq!(read(&end).unwrap(), "undisturbed");
}

#[test]
fn a_new_start_after_a_hard_end_takes_the_name_over() {
    let host = host();
    for instance in 0..3 {
        let (process, _window) = provider(&host, "lines", Options::default());
        {
            let _entered = host.enter(ProcessSpec::new("client"));
            let (end, peer) = (open("lines/a", O_RDWR), open("lines/a.peer", O_RDWR));
            write(&peer, "hello").unwrap();
            assert_eq!(read(&end).unwrap(), "hello", "instance {instance}");
        }
        process.kill();
        assert!(process.wait(PATIENCE).is_some());
        let _entered = host.enter(ProcessSpec::new("client"));
        assert_eq!(errno(try_open("lines/a", O_RDWR)), ENODEV);
    }
}

#[test]
fn a_file_of_the_instance_that_ended_stays_dead() {
    let host = host();
    let (first, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let old = open("lines/a", O_RDWR);
    first.kill();
    assert!(first.wait(PATIENCE).is_some());
    let (_second, _window) = provider(&host, "lines", Options::default());
    assert_eq!(errno(read(&old)), ENODEV);
    let (end, peer) = (open("lines/a", O_RDWR), open("lines/a.peer", O_RDWR));
    write(&peer, "new").unwrap();
    assert_eq!(read(&end).unwrap(), "new");
}
