//! An rsyslogd of the test's own.

use std::path::Path;
use std::process::{Child, Command, Stdio};

pub const RSYSLOGD: &str = "/usr/sbin/rsyslogd";

/// An rsyslogd of our own, which appends what it parsed to `received`.
pub struct Rsyslogd(Child);

impl Rsyslogd {
    pub fn start(folder: &Path, port: u16) -> Self {
        let config = folder.join("rsyslog.conf");
        let at = folder.display();
        std::fs::write(
            &config,
            format!(
                "global(workDirectory=\"{at}\" maxMessageSize=\"16k\")\n\
                 module(load=\"imtcp\")\n\
                 input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
                 template(name=\"t\" type=\"string\" string=\"%syslogfacility-text% \
                 %syslogseverity-text% %app-name% %msgid% %hostname%|%msg%\\n\")\n\
                 action(type=\"omfile\" file=\"{at}/received\" template=\"t\")\n"
            ),
        )
        .unwrap();
        let child = Command::new(RSYSLOGD)
            .arg("-n")
            .arg("-f")
            .arg(&config)
            .arg("-i")
            .arg(folder.join("rsyslog.pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Asks it to end, so that it writes what it took, and waits.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
