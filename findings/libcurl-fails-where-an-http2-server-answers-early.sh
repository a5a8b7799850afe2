#!/bin/sh
# An HTTP/2 server that answers before it has read the whole request is an error to libcurl, not an answer.
#
# Software:  curl and libcurl 7.88.1, nginx 1.22.1 (Debian 12).
# Expected:  RFC 9113, 8.1, lets a server send its whole response early and then ask for the rest of the request to be dropped with
#            RST_STREAM and NO_ERROR, and forbids clients to throw the response away for that. nginx does so wherever it answers by
#            itself (`return 204`). So a POST is answered with 204, as it is over HTTP/1.1.
# Behaviour: over HTTP/1.1 it is. Over HTTP/2 the transfer ends with error 92 (CURLE_HTTP2_STREAM) as soon as the request does not fit
#            into what is sent in front of the answer. Whoever tries again after errors sends what was taken again, for ever. With a small
#            request it depends on the time whether that happens, and the status is there then (CURLINFO_RESPONSE_CODE).
# Output seen:
#   HTTP/1.1: exit 0, status 204
#   HTTP/2: exit 92
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
dir=$(mktemp -d)
pid=
trap 'if [ -n "$pid" ]; then kill "$pid" || true; fi; rm -rf "$dir"' EXIT
cd "$dir"
version() { apt-cache madison "$1" 2>/dev/null | sed -n "s/.*| *\($2[^ ]*\) .*/\1/p" | head -1; }
curl=$(version curl 7.88.1) nginx=$(version nginx 1.22.1)
apt-get download -q "curl=$curl" "libcurl4=$curl" "nginx=$nginx" >/dev/null 2>&1 || { echo "these versions cannot be had here"; exit 2; }
for file in *.deb; do dpkg-deb -x "$file" root; done
LD_LIBRARY_PATH=$(dirname "$(find "$dir/root" -name 'libcurl.so.4' | head -1)")
export LD_LIBRARY_PATH
port=$((20000 + $$ % 9000))
cat >nginx.conf <<CONFIG
daemon off; master_process off; pid $dir/pid; error_log $dir/error; events {}
http {
    access_log off; client_body_temp_path $dir/b; proxy_temp_path $dir/p; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
    server { listen 127.0.0.1:$port; return 204; }
    server { listen 127.0.0.1:$((port + 1)) http2; return 204; }
}
CONFIG
root/usr/sbin/nginx -p "$dir" -c nginx.conf 2>error.start &
pid=$!
head -c 1000000 /dev/zero >body
try() { root/usr/bin/curl -s --noproxy '*' --max-time 10 "$1" --data-binary @body -o /dev/null -w '%{http_code}' "http://127.0.0.1:$2/"; }
for _ in 1 2 3 4 5 6 7 8 9 10; do root/usr/bin/curl -s --noproxy "*" --max-time 2 "http://127.0.0.1:$port/" && break || sleep 0.2; done
status=$(try --http1.1 "$port") && code=0 || code=$?
echo "HTTP/1.1: exit $code, status $status" >out
try --http2-prior-knowledge $((port + 1)) >/dev/null && code=0 || code=$?
echo "HTTP/2: exit $code" >>out
sed 's/^/  /' out
printf 'HTTP/1.1: exit 0, status 204\nHTTP/2: exit 92\n' >expected
cmp -s out expected && { echo "holds: curl $curl, nginx $nginx"; exit 0; }
echo "changed"
exit 1
