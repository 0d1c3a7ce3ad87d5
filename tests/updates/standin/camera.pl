# /snapshot: a picture while /site/camera exists, otherwise the camera's honest 503. Perl, because every Debian has it.
use strict;
use warnings;
use Socket;

$SIG{TERM} = sub { exit 0 };
$SIG{PIPE} = 'IGNORE';
socket(my $listener, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
bind($listener, sockaddr_in(8080, INADDR_ANY)) or die "bind: $!";
listen($listener, 16) or die "listen: $!";
while (1) {
    accept(my $client, $listener) or next;
    sysread($client, my $request, 4096);
    my $good = $ENV{BEHAVIOUR} ne 'blind' && -e '/site/camera';
    my $status = $good ? '200 OK' : '503 Service Unavailable';
    my $body = $good ? "\xff\xd8 a picture \xff\xd9" : '{"title":"No camera","status":503,"reason":"camera_absent"}';
    syswrite($client, "HTTP/1.1 $status\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body");
    close($client);
}
