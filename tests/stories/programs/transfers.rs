//! Files that are moved: ssh, scp, rsync, git.

use lab::{Process, Program};

use super::{Lab, PATIENCE, text};
use crate::traffic::LINUX;

#[test]
fn ssh_logs_in_and_scp_copies_a_file() {
    let Some(lab) = Lab::start() else { return };
    let folder = lab.stack.machine().run().file("root");
    let at = folder.display();
    let keygen = format!("ssh-keygen -q -t ed25519 -f {at}/key -C lab -N");
    Program::new("ssh-keygen", "openssh-client").unwrap();
    lab.peers()
        .program(&keygen, "openssh-client")
        .unwrap()
        .arg("")
        .run(PATIENCE)
        .unwrap();
    let options = format!(
        "-p 2222 -h {at}/key -f /dev/null -o ListenAddress={LINUX} -o AuthorizedKeysFile={at}/key.pub -o UsePAM=no \
         -o StrictModes=no -o PermitRootLogin=yes -o PidFile=none -o Subsystem=sftp\u{a0}internal-sftp"
    );
    // The program separates with its privileges in a folder that a service would have made.
    std::fs::create_dir_all("/run/sshd").unwrap();
    let options = options.split(' ').map(|word| word.replace('\u{a0}', " "));
    let server = lab.peers();
    let server = server
        .program("/usr/sbin/sshd -D -e", "openssh-server")
        .unwrap();
    let server = server.args(options).start().unwrap();
    server.wait_for_errors("listening on", PATIENCE).unwrap();
    let common = format!(
        "-F /dev/null -i {at}/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
    );
    let ssh = format!("ssh {common} -p 2222 root@{LINUX} echo good morning");
    assert_eq!(text(&lab.run(&ssh, "openssh-client")), "good morning\n");
    let bytes = vec![0x5a; 10 << 20];
    std::fs::write(folder.join("sent"), &bytes).unwrap();
    let scp = format!("scp {common} -P 2222 {at}/sent root@{LINUX}:{at}/received");
    lab.run(&scp, "openssh-client");
    assert_eq!(std::fs::read(folder.join("received")).unwrap(), bytes);
    drop(server);
    lab.all_is_given_back();
}
