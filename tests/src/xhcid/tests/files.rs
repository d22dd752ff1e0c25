//! The tree, and everything but the endpoints.

use syscall::error::{
    EACCES, EAGAIN, EBADF, EBADFD, EBADMSG, EINVAL, EIO, EISDIR, EMFILE, ENOENT, ENOTDIR,
};
use syscall::flag::{O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY};

use super::*;
use crate::xhcid::scripted::{Answer, message};

#[test]
fn descriptors_say_what_the_device_said() {
    let bench = bench_with(spec(Endpoints::Events), RndisSpec::new());
    let text = bench.client.text("descriptors").unwrap();
    let head = r#"{"kind":1,"usb":512,"class":2,"sub_class":0,"protocol":0,"packet_size":64,"vendor":1317,"product":42146,"release":0,"manufacturer_str":"the lab","product_str":"a scripted adapter","serial_str":null,"config_descs":[{"kind":2,"configuration_value":2,"#;
    assert!(text.starts_with(head), "{text}");
    assert!(text.contains(r#""configuration_value":1"#), "{text}");
}

#[test]
fn a_port_goes_from_addressed_to_configured() {
    let bench = bench_with(spec(Endpoints::Events), RndisSpec::new());
    assert_eq!(bench.client.text("state").unwrap(), "addressed");
    let names = |bench: &Bench| {
        let mut bytes = [0; 64];
        let root = Client::open(bench.xhcid.scheme(), PORT).unwrap();
        let length = root.0.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    assert_eq!(names(&bench), "descriptors\nendpoints\nconfigure\n");
    bench.client.configure(2).unwrap();
    assert_eq!(bench.client.text("state").unwrap(), "configured");
    assert_eq!(bench.bus.configuration(PORT), Some(2));
    assert_eq!(names(&bench), "descriptors\nendpoints\n");
}

#[test]
fn the_second_configure_of_the_same_value_only_sets_the_interface() {
    let bench = bench(Endpoints::Events);
    let bulk_in = bench.client.nonblocking(2);
    bulk_in.arm(1580).unwrap();
    bench.client.configure(2).unwrap();
    let steps = bench.bus.steps();
    let text = r#"{"config_desc":2,"interface_desc":1,"alternate_setting":0,"hub_ports":null}"#;
    bench.client.write("configure", text).unwrap();
    assert_eq!(
        bench.bus.steps(),
        steps + 1,
        "SET_INTERFACE and nothing else"
    );
    bench.adapter.send_raw(b"still armed");
    bulk_in.wait(syscall::flag::EventFlags::EVENT_READ);
    assert_eq!(bulk_in.read(1580).unwrap(), b"still armed");
}

#[test]
fn a_configure_that_makes_no_sense_is_refused() {
    let bench = bench_with(spec(Endpoints::Events), RndisSpec::new());
    let refused = |text: &str| bench.client.write("configure", text).unwrap_err().errno;
    assert_eq!(refused("{}"), EBADMSG);
    assert_eq!(refused("not JSON"), EBADMSG);
    let half = r#"{"config_desc":2,"interface_desc":1,"alternate_setting":null,"hub_ports":null}"#;
    assert_eq!(refused(half), EBADMSG);
    assert_eq!(bench.client.configure(7).unwrap_err().errno, EBADFD);
    assert_eq!(bench.bus.configuration(PORT), None);
}

#[test]
fn files_are_opened_from_the_port_by_those_who_may_and_as_what_they_are() {
    let bench = bench_with(spec(Endpoints::Events), RndisSpec::new());
    let errno = |path: &str, flags: usize| bench.client.refused(path, flags);
    assert_eq!(errno("configure", O_RDWR), EACCES);
    assert_eq!(errno("attach", O_RDONLY), EACCES);
    assert_eq!(errno("descriptors", O_DIRECTORY), ENOTDIR);
    assert_eq!(errno("endpoints", O_RDONLY), EISDIR);
    assert_eq!(
        errno("endpoints/2/data", O_RDWR),
        ENOENT,
        "not configured yet"
    );
    assert_eq!(errno("elsewhere", O_RDONLY), ENOENT);
    let open = |port| Client::open(bench.xhcid.scheme(), port).map(drop);
    assert_eq!(open(Port(4)).unwrap_err().errno, ENOENT);
    let request = bench.client.file("request", O_RDWR).unwrap();
    assert_eq!(Client(request).refused("state", 0), EACCES);
    let _nobody = bench.host.enter(ProcessSpec::new("nobody").uid(1000));
    assert_eq!(open(PORT).unwrap_err().errno, EACCES);
}

#[test]
fn a_command_and_its_response_go_through_request() {
    let bench = bench(Endpoints::Events);
    let initialize = message::message(message::INITIALIZE, &[1, 1, 0, 16384], &[]);
    bench.client.send_command(&initialize).unwrap();
    let response = bench.client.get_response(1025).unwrap();
    let wanted = message::initialize_complete(1, 1, 1580, 0);
    assert_eq!(response[..52], wanted);
    assert!(
        response[52..].iter().all(|byte| *byte == 0),
        "how much came is not told"
    );
    assert_eq!(
        bench.client.get_response(16).unwrap(),
        [0; 16],
        "no response is a zero"
    );
    assert_eq!(bench.adapter.requests(), [initialize]);
}

#[test]
fn a_request_is_read_and_written_in_exactly_its_length() {
    let bench = bench(Endpoints::Events);
    let text = r#"{"direction":"HostToDevice","req_type":"Class","req_recipient":"Interface","request":0,"value":0,"index":0,"length":12,"transfers_data":true}"#;
    let file = bench.client.file("request", O_RDWR).unwrap();
    assert_eq!(
        file.read(&mut [0; 12]).unwrap_err().errno(),
        EBADF,
        "nothing asked"
    );
    let file = bench.client.file("request", O_RDWR).unwrap();
    assert_eq!(file.write(b"{}").unwrap_err().errno(), EBADMSG);
    file.write(text.as_bytes()).unwrap();
    assert_eq!(file.stat().unwrap().st_size, 12);
    assert_eq!(file.write(&[0; 11]).unwrap_err().errno(), EINVAL);
    assert_eq!(bench.adapter.requests().len(), 0);
}

#[test]
fn a_request_that_stalls_is_an_error_and_spends_its_file() {
    let bench = bench_with(
        spec(Endpoints::Events),
        RndisSpec::new().script(|_| Answer::Stall),
    );
    let message = message::message(message::QUERY, &[1, 0, 0, 20, 0], &[]);
    assert_eq!(bench.client.send_command(&message).unwrap_err().errno, EIO);
    bench.adapter.set_script(|_| Answer::Usual);
    assert!(
        bench.client.send_command(&message).is_ok(),
        "endpoint 0 goes on"
    );
}

#[test]
fn a_device_that_was_let_go_is_attached_again() {
    let bench = bench(Endpoints::Events);
    let trigger = |path: &str| bench.client.file(path, O_WRONLY).unwrap().write(&[]);
    assert_eq!(
        trigger("attach").unwrap_err().errno(),
        EAGAIN,
        "it is attached"
    );
    trigger("detach").unwrap();
    assert!(bench.xhcid.wait_for_port(PORT, false, SOON));
    assert_eq!(bench.client.configure(2).unwrap_err().errno, EBADFD);
    trigger("attach").unwrap();
    assert!(bench.xhcid.wait_for_port(PORT, true, SOON));
    bench.client.configure(2).unwrap();
}

#[test]
fn a_driver_is_started_for_the_interface_that_it_is_for() {
    for class in RNDIS_CLASSES {
        let (tell, told) = std::sync::mpsc::channel();
        let driver = Driver::new("usb-rndisd", &RNDIS_CLASSES, move |arguments| {
            tell.send((arguments, redox_host::env("INIT_NOTIFY")))
                .unwrap();
            0
        });
        let spec = spec(Endpoints::Events).driver(driver).stale_notify();
        let bench = bench_with(spec, RndisSpec::new().class(class));
        let (arguments, notify) = told.recv_timeout(SOON).unwrap();
        let wanted = DriverArguments {
            scheme: "usb.pci-0000-00-06.0_xhci".into(),
            port: PORT,
            interface: 0,
            protocol: class[2],
        };
        assert_eq!(arguments, wanted);
        assert_eq!(notify.as_deref(), Some("3"), "of no file of its own");
        // Whatever is answered now comes after all drivers were started.
        bench.client.text("state").unwrap();
        assert!(told.try_recv().is_err(), "once");
    }
}

#[test]
fn no_more_files_are_open_than_there_is_room_for_and_a_close_makes_room() {
    let bench = bench_with(spec(Endpoints::Events), RndisSpec::new());
    let mut files = Vec::new();
    let errno = loop {
        match bench.client.file("state", O_RDONLY) {
            Ok(file) => files.push(file),
            Err(error) => break error.errno,
        }
        assert!(files.len() <= 1024);
    };
    // The scheme's root and the port are open, too.
    assert_eq!((errno, files.len()), (EMFILE, 1022));
    files.pop();
    files.push(bench.client.file("state", O_RDONLY).unwrap());
    assert_eq!(bench.client.refused("state", O_RDONLY), EMFILE);
}
