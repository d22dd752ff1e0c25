//! Files that are moved: scp, rsync, git.

use std::path::Path;

use lab::Program;
use lab::peers::pattern;

use lab::programs::{HTTP_PORT, Site, Ssh};

use super::nginx::on_linux;
use super::{Lab, PATIENCE, text};
use crate::traffic::LINUX;

/// Bytes that scp moves each way; `./demo bench` moves more.
const LARGE: usize = 20 << 20;

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
    let folder = lab.folder();
    let ssh = Ssh::new(&folder).unwrap();
    let options = ssh.options();
    let peers = lab.peers();
    let server = peers.program(&ssh.server(&LINUX.to_string()), "openssh-server");
    let server = server.unwrap().start().unwrap();
    server.wait_for_errors("listening on", PATIENCE).unwrap();
    let ssh = format!("ssh {options} root@{LINUX} echo good morning");
    assert_eq!(text(&lab.run(&ssh, "openssh-client")), "good morning\n");
    let at = folder.display();
    let bytes = write_pattern(&folder.join("sent"), LARGE);
    let there = format!("root@{LINUX}:{at}/there");
    for (from, to) in [
        (format!("{at}/sent"), there.clone()),
        (there, format!("{at}/back")),
    ] {
        let scp = format!("scp {options} {from} {to}");
        lab.run(&scp, "openssh-client");
    }
    assert!(std::fs::read(folder.join("there")).unwrap() == bytes);
    assert!(std::fs::read(folder.join("back")).unwrap() == bytes);
    drop(server);
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
    let site = Site::new(&lab.folder()).unwrap();
    site.write("tree/file", "what was written\n").unwrap();
    let tree = lab.folder().join("site/tree");
    let git = |arguments: &str| {
        let program = Program::new("git", "git").unwrap().arg("-C").arg(&tree);
        program.args(arguments.split(' ')).run(PATIENCE).unwrap();
    };
    git("init -q");
    git("add file");
    git("-c user.name=lab -c user.email=lab@lab.test commit -q -m first");
    // What a server needs that knows nothing of git.
    git("update-server-info");
    let server = on_linux(&lab, &site);
    let clone = lab.folder().join("clone");
    let url = format!("http://{LINUX}:{HTTP_PORT}/tree/.git");
    lab.run(&format!("git clone -q {url} {}", clone.display()), "git");
    let file = std::fs::read_to_string(clone.join("file")).unwrap();
    assert_eq!(file, "what was written\n");
    drop(server);
    lab.all_is_given_back();
}
