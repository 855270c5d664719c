//! Three MariaDB servers on this machine that form one Galera cluster.

use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable as _;

use super::database::{Data, Network, Server, free_port};

/// Where Debian and others put Galera.
const PROVIDERS: [&str; 3] = [
    "/usr/lib/galera/libgalera_smm.so",
    "/usr/lib64/galera-4/libgalera_smm.so",
    "/usr/lib64/galera/libgalera_smm.so",
];
/// A node copies everything from another one before it takes part.
const JOIN_TIME: Duration = Duration::from_secs(90);

/// The nodes; they stop when dropped.
pub struct Cluster {
    pub nodes: Vec<Server>,
}

impl Cluster {
    /// Starts one node after the other and waits until all of them are in step.
    pub fn start(size: usize) -> Cluster {
        let ports: Vec<u16> = (0..size).map(|_| free_port()).collect();
        let addresses: Vec<String> = ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        let mut nodes = Vec::new();
        for (node, port) in ports.iter().enumerate() {
            let mut settings = settings(&addresses.join(","), *port);
            if node == 0 {
                settings.push("--wsrep-new-cluster".to_string());
            }
            let data = if node == 0 { Data::Own } else { Data::Foreign };
            let server = Server::start_with(Network::None, data, &settings);
            await_size(&server, node + 1);
            nodes.push(server);
        }
        Cluster { nodes }
    }
}

fn settings(addresses: &str, port: u16) -> Vec<String> {
    let provider = PROVIDERS
        .iter()
        .find(|path| std::path::Path::new(path).exists());
    let provider = provider.expect("Galera is missing: tests/run installs it");
    let options = format!(
        "gmcast.listen_addr=tcp://127.0.0.1:{port};ist.recv_addr=127.0.0.1:{};gcache.size=32M",
        free_port()
    );
    vec![
        "--wsrep-on=ON".to_string(),
        format!("--wsrep-provider={provider}"),
        format!("--wsrep-cluster-address=gcomm://{addresses}"),
        format!("--wsrep-node-address=127.0.0.1:{port}"),
        format!("--wsrep-provider-options={options}"),
        "--wsrep-sst-method=rsync".to_string(),
        format!("--wsrep-sst-receive-address=127.0.0.1:{}", free_port()),
        "--binlog-format=ROW".to_string(),
        "--innodb-autoinc-lock-mode=2".to_string(),
    ]
}

/// Waits until a node sees so many nodes and takes part.
pub fn await_size(server: &Server, size: usize) {
    let begun = Instant::now();
    loop {
        let status = |name: &str| -> Option<String> {
            let row: Option<(String, String)> = server
                .root()
                .query_first(format!("SHOW STATUS LIKE '{name}'"))
                .unwrap();
            row.map(|(_, value)| value)
        };
        let found = (
            status("wsrep_cluster_size"),
            status("wsrep_local_state_comment"),
        );
        let is_primary = status("wsrep_cluster_status").as_deref() == Some("Primary");
        if is_primary && found == (Some(size.to_string()), Some("Synced".to_string())) {
            return;
        }
        assert!(
            begun.elapsed() < JOIN_TIME,
            "the cluster does not come together: {found:?}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}
