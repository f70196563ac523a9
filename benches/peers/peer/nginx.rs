//! nginx in its two roles: a server of files, which is as fast as hits go, and a cache before a registry.

use crate::peer::{Files, NGINX, Peer, Place, put};
use crate::support::process::Part;

const PART: Part = Part {
    program: "nginx",
    package: "nginx-light",
};

impl Peer {
    /// One that has these files, each under the path that clients ask for. `sendfile` and `open_file_cache` are on.
    pub(crate) async fn nginx_of(files: Files<'_>) -> Self {
        let place = Place::new();
        place.certify();
        let data = place.data();
        for (path, bytes) in files {
            put(&data, path, bytes);
        }
        let folder = place.folder.path().display();
        let locations = format!(
            "listen {secured} ssl http2;\n\
             ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;\n\
             ssl_protocols TLSv1.2 TLSv1.3;\n\
             root {folder}/data; default_type application/octet-stream;\n\
             open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;\n",
            secured = place.secured,
        );
        start(place, &locations).await
    }

    /// One that fetches from the registry at `upstream` what it does not have: blobs in slices of 8 MiB, each brought
    /// once for all who ask for it at the same time.
    pub(crate) async fn nginx_before(upstream: &str) -> Self {
        let place = Place::new();
        let locations = format!(
            "proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
             proxy_cache kept; proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;\n\
             location / {{ proxy_cache_key $uri$http_accept; proxy_cache_valid 200 1h; proxy_pass {upstream}; }}\n\
             location ~ /blobs/ {{ slice 8m; proxy_set_header Range $slice_range;\n\
             proxy_cache_key $uri$slice_range; proxy_cache_valid 200 206 1d; proxy_pass {upstream}; }}\n",
        );
        start(place, &locations).await
    }
}

async fn start(place: Place, locations: &str) -> Peer {
    let (folder, address) = (place.folder.path().display(), place.address);
    let config = format!(
        "daemon off; user root; worker_processes auto; pid {folder}/pid; error_log stderr error;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; sendfile on; keepalive_requests 1000000000;\n\
         client_body_temp_path {folder}/temp; fastcgi_temp_path {folder}/temp;\n\
         uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;\n\
         proxy_cache_path {folder}/data levels=1:2 keys_zone=kept:10m inactive=1d use_temp_path=off;\n\
         server {{ listen {address};\n{locations}}} }}\n",
    );
    let config = place.write("nginx.conf", &config);
    let folder = place.folder.path().to_owned();
    let start = place.start(NGINX, false, move || {
        let mut command = PART.command();
        command.arg("-p").arg(&folder).arg("-c").arg(&config);
        command.args(["-e", "stderr"]);
        command
    });
    start.await
}
