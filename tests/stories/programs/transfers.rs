//! Files that are moved: scp, rsync, git.

use std::path::Path;

use lab::peers::pattern;
use lab::{Process, Program};

use super::nginx::{PORT, Site, on_linux};
use super::{Lab, PATIENCE, text};
use crate::traffic::LINUX;

/// Bytes that scp moves each way; `./demo bench` moves more.
const LARGE: usize = 20 << 20;

/// sshd of Linux, and what a client needs to be let in.
struct Sshd {
    _server: Process,
    options: String,
}

impl Sshd {
    fn start(lab: &Lab) -> Sshd {
        let folder = lab.folder();
        let at = folder.display();
        let keygen = format!("ssh-keygen -q -t ed25519 -f {at}/key -C lab -N");
        let peers = lab.peers();
        let keygen = peers.program(&keygen, "openssh-client").unwrap().arg("");
        keygen.run(PATIENCE).unwrap();
        let options = format!(
            "-p 2222 -h {at}/key -f /dev/null -o ListenAddress={LINUX} -o AuthorizedKeysFile={at}/key.pub -o UsePAM=no \
             -o StrictModes=no -o PermitRootLogin=yes -o PidFile=none -o Subsystem=sftp\u{a0}internal-sftp"
        );
        // The program separates with its privileges in a folder that a service would have made.
        std::fs::create_dir_all("/run/sshd").unwrap();
        let options = options.split(' ').map(|word| word.replace('\u{a0}', " "));
        let server = peers
            .program("/usr/sbin/sshd -D -e", "openssh-server")
            .unwrap();
        let server = server.args(options).start().unwrap();
        server.wait_for_errors("listening on", PATIENCE).unwrap();
        Sshd {
            _server: server,
            options: format!(
                "-F /dev/null -i {at}/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
            ),
        }
    }
}

/// Writes that many bytes that are easy to know again.
fn write_pattern(file: &Path, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    pattern(0, &mut bytes);
    std::fs::write(file, &bytes).unwrap();
    bytes
}

#[test]
fn ssh_logs_in_and_scp_copies_a_large_file_there_and_back() {
    let Some(lab) = Lab::start() else { return };
    let sshd = Sshd::start(&lab);
    let options = &sshd.options;
    let ssh = format!("ssh {options} -p 2222 root@{LINUX} echo good morning");
    assert_eq!(text(&lab.run(&ssh, "openssh-client")), "good morning\n");
    let folder = lab.folder();
    let at = folder.display();
    let bytes = write_pattern(&folder.join("sent"), LARGE);
    let there = format!("root@{LINUX}:{at}/there");
    for (from, to) in [
        (format!("{at}/sent"), there.clone()),
        (there, format!("{at}/back")),
    ] {
        let scp = format!("scp {options} -P 2222 {from} {to}");
        lab.run(&scp, "openssh-client");
    }
    assert!(std::fs::read(folder.join("there")).unwrap() == bytes);
    assert!(std::fs::read(folder.join("back")).unwrap() == bytes);
    drop(sshd);
    lab.all_is_given_back();
}

#[test]
fn rsync_brings_a_folder_from_a_daemon_and_takes_it_back() {
    let Some(lab) = Lab::start() else { return };
    let folder = lab.folder();
    let at = folder.display();
    std::fs::create_dir_all(folder.join("there/below")).unwrap();
    let bytes = write_pattern(&folder.join("there/below/large"), 3 << 20);
    let settings = format!(
        "use chroot = no\nuid = root\ngid = root\n[files]\npath = {at}/there\nread only = no\n"
    );
    std::fs::write(folder.join("settings"), settings).unwrap();
    let line = format!(
        "rsync --daemon --no-detach --address={LINUX} --port=8873 --config={at}/settings --log-file=/dev/stderr"
    );
    let peers = lab.peers();
    let server = peers.program(&line, "rsync").unwrap().start().unwrap();
    server.wait_for_errors("starting", PATIENCE).unwrap();
    let url = format!("rsync://{LINUX}:8873/files/");
    lab.run(&format!("rsync -a {url} {at}/here/"), "rsync");
    assert!(std::fs::read(folder.join("here/below/large")).unwrap() == bytes);
    std::fs::write(folder.join("here/new"), "new\n").unwrap();
    lab.run(&format!("rsync -a {at}/here/ {url}"), "rsync");
    assert_eq!(std::fs::read(folder.join("there/new")).unwrap(), b"new\n");
    drop(server);
    lab.all_is_given_back();
}

#[test]
fn git_clones_a_repository_over_http() {
    let Some(lab) = Lab::start() else { return };
    let site = Site::new(&lab);
    site.write("work/file", "what was written\n");
    let work = lab.folder().join("site/work");
    let git = |arguments: &str| {
        let program = Program::new("git", "git").unwrap().arg("-C").arg(&work);
        program.args(arguments.split(' ')).run(PATIENCE).unwrap();
    };
    git("init -q");
    git("add file");
    git("-c user.name=lab -c user.email=lab@lab.test commit -q -m first");
    // What a server needs that knows nothing of git.
    git("update-server-info");
    let server = on_linux(&lab, &site, "");
    let clone = lab.folder().join("clone");
    let url = format!("http://{LINUX}:{PORT}/work/.git");
    lab.run(&format!("git clone -q {url} {}", clone.display()), "git");
    let file = std::fs::read_to_string(clone.join("file")).unwrap();
    assert_eq!(file, "what was written\n");
    drop(server);
    lab.all_is_given_back();
}
