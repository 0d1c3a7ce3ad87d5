"""The installer where things go wrong: interrupted, cut off, called twice, without terminal or network.

One host with Docker, made into a device at the beginning; each test leaves it a working device.
"""

from __future__ import annotations

import pytest

from tests.pi_host.cloud import Cloud
from tests.pi_host.conftest import NewPi
from tests.pi_host.pi import FROM_KIT, INSTALL, KIT, Pi
from tests.pi_host.wait import wait_for
from tests.pi_host.ways import connected, install, picture

LOG = "/var/log/visant-install.log"
STOP = (
    "pkill -KILL --session $(ps -eo sid,args | awk '/[b]ash .*install_device.sh/ { print $1 }' | sort -u | paste -sd,)"
)


@pytest.fixture(scope="module")
def pi(new_pi: NewPi) -> Pi:
    return new_pi("INSTALLER", engine=True)


def running(pi: Pi) -> bool:
    return pi.sh("pgrep -f '[i]nstall_device.sh'", check=False).code == 0


def killed_at(pi: Pi, command: str, line: str, *, boots: bool = False) -> None:
    """Start the command and end all of it as soon as the log says `line`."""
    pi.sh(f"rm -f {LOG}")
    process = pi.start(command)
    try:
        wait_for(lambda: pi.sh(f"grep -q {line!r} {LOG}", check=False).code == 0, 120, f"the line {line!r}")
        if boots:
            pi.power_cut()
            pi.power_on()
        else:
            pi.sh(STOP, check=False)
            wait_for(lambda: not running(pi), 30, "the end of the installer")
    finally:
        process.kill()
        process.wait()


@pytest.mark.short
def test_killed_at_any_step_the_same_command_goes_on_and_the_code_is_never_seen(pi: Pi, cloud: Cloud) -> None:
    code = cloud.enrol_code(pi.device)
    pi.write(f"{KIT}/code", code, mode="600")
    who = f"--device-id {pi.device} --api-url {cloud.url} --enrol-file {KIT}/code"
    command = f"{INSTALL} {who} --camera fake {FROM_KIT} --yes"
    for line in ("enrolled as", "getting 4 images", "switching from nothing", "started in"):
        killed_at(pi, command, line)
    killed_at(pi, command, "wrote /etc/systemd", boots=True)
    done = pi.sh(command, check=False)
    assert done.code == 0, done.out
    assert "used by this device already" in done.out
    assert code not in pi.sh(f"cat {LOG} /var/log/visant-update.log; journalctl --no-pager").out
    picture(pi, cloud, 90)


def test_a_code_on_the_command_line_is_gone_from_ps_at_once_and_the_user_is_told(pi: Pi, cloud: Cloud) -> None:
    code = cloud.enrol_code(pi.device, "--replace")
    process = pi.start(f"exec {INSTALL} --enrol {code} --yes")
    try:
        wait_for(lambda: running(pi), 20, "the installer")
        seen = ""
        while process.poll() is None:
            seen += pi.sh("ps -eo args; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'", check=False).out
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, out
    assert "install_device.sh" in seen
    assert code not in seen
    assert "the code stood on the command line" in out
    assert code not in out


def test_a_code_is_good_once_and_for_its_time(pi: Pi, cloud: Cloud) -> None:
    token = pi.sh("cat /opt/visant/secrets/device_token").out
    for code, why in (
        (cloud.enrol_code(pi.device, "--hours", "0.00001"), "expired"),
        (pi.sh(f"cat {KIT}/code").out, "used already"),
        ("no-such-code", "unknown"),
        (cloud.enrol_code("ANOTHER"), "another device"),
        (cloud.enrol_code(pi.device), "enrolled already"),
    ):
        pi.sh("rm -f /opt/visant/state/enrolled.json")
        done = pi.sh(f"{INSTALL} --enrol - --yes", stdin=f"{code}\n", check=False)
        assert done.code == 4, done.out  # refused
        assert why in done.out, done.out
        assert "visant-cloud enrol-code" in done.out or why == "another device"
    assert pi.sh("cat /opt/visant/secrets/device_token").out == token
    picture(pi, cloud)


def test_replace_takes_an_id_over_and_ends_the_old_token(pi: Pi, cloud: Cloud) -> None:
    old = pi.sh("cat /opt/visant/secrets/device_token").out.strip()
    code = cloud.enrol_code(pi.device)
    done = pi.sh(f"{INSTALL} --enrol-file - --replace --yes", stdin=code, check=False)
    assert done.code == 0, done.out
    new = pi.sh("cat /opt/visant/secrets/device_token").out.strip()
    assert new != old
    assert cloud.status_for(pi.device, old) == 401
    assert cloud.status_for(pi.device, new) != 401
    picture(pi, cloud)


def test_a_token_comes_from_a_file_or_a_pipe(pi: Pi, cloud: Cloud) -> None:
    token = pi.sh("cat /opt/visant/secrets/device_token").out.strip()
    for bad, why in (("", "holds no token"), ("two words", "alone, as one word")):
        done = pi.sh(f"{INSTALL} --token-file - --yes", stdin=bad, check=False)
        assert done.code == 1, done.out
        assert why in done.out
    done = pi.sh(f"{INSTALL} --token-file - --yes", stdin=f"{token}\r\n", check=False)
    assert done.code == 0, done.out
    assert pi.sh("cat /opt/visant/secrets/device_token").out == f"{token}\n"
    assert pi.sh("stat -c '%a %u %g' /opt/visant/secrets/device_token").out.split() == ["640", "0", "10001"]
    picture(pi, cloud)


def test_with_a_terminal_it_asks_once_and_no_changes_nothing(pi: Pi) -> None:
    before = pi.files()
    done = pi.sh(INSTALL, terminal=True, stdin="n\n", check=False)
    assert done.code == 1, done.out
    assert done.out.count("Go on?") == 1
    assert "nothing was changed" in done.out
    assert pi.files() == before
    done = pi.sh(INSTALL, terminal=True, stdin="y\n", check=False)
    assert done.code == 0, done.out
    done = pi.sh(f"yes n | {INSTALL}", check=False)  # a pipe is nobody: nothing is asked
    assert done.code == 0, done.out
    assert "Go on?" not in done.out


def test_old_flags_are_understood(pi: Pi) -> None:
    for flag, channel in (("--branch dev", "beta"), ("--branch main", "stable"), ("--channel beta", "beta")):
        assert pi.sh(f"{INSTALL} {flag} --skip-tailscale --skip-wifi --yes", check=False).code == 0
        assert f"UPDATE_CHANNEL={channel}\n" in pi.sh("cat /opt/visant/.env.device").out
    assert pi.sh(f"{INSTALL} --camera /dev/video7 --dry-run").out.count("no camera is plugged in") == 1
    assert pi.sh("/opt/visant/deployment/verify_deployment.sh").code == 0  # the old place


@pytest.mark.short
def test_it_survives_the_end_of_the_ssh_session(pi: Pi, cloud: Cloud) -> None:
    pi.sh(
        "ssh-keygen -A; mkdir -p /run/sshd; systemctl start ssh; useradd -m -s /bin/bash tech;"
        "echo 'tech ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/tech; ssh-keygen -q -t ed25519 -N '' -f /root/key;"
        "install -d -o tech -m 700 ~tech/.ssh; install -o tech -m 600 /root/key.pub ~tech/.ssh/authorized_keys;"
    )
    pi.sh("systemctl stop visant-device-v2; docker rm -f $(docker ps -aq)")
    pi.sh("rm -rf /opt/visant/current /opt/visant/state/good.json")  # there is a release to install again
    pi.sh(f"rm -f {LOG}")  # what earlier installations said is not this one's
    process = pi.start(
        "ssh -tt -i /root/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null tech@127.0.0.1 "
        f"sudo {INSTALL} {FROM_KIT} --yes"
    )
    try:
        wait_for(lambda: pi.sh(f"grep -q 'switching from' {LOG}", check=False).code == 0, 120, "the switch")
        # sshd may have ended what is tech's already: then there is nothing left for the second
        pi.sh("pkill -KILL -f '[s]sh -tt' && { pkill -KILL -u tech || true; }")
        process.wait(timeout=30)
        wait_for(
            lambda: pi.sh(f"grep -q 'installed in' {LOG}", check=False).code == 0, 180, "the end of the installation"
        )
        wait_for(lambda: not running(pi), 90, "the end of the installer")
    finally:
        process.kill()
    assert "not finished" not in pi.sh(f"cat {LOG}").out
    picture(pi, cloud)
    assert pi.sh("readlink -f ~tech/addwifi.sh").out.strip().endswith("/deployment/addwifi.sh")
    pi.sh("systemctl stop ssh; userdel -rf tech; rm -f /etc/sudoers.d/tech", check=False)


def test_without_network_it_says_so_and_loses_nothing(pi: Pi, cloud: Cloud) -> None:
    pi.cut_network()
    try:
        refused = pi.sh(f"{INSTALL} --enrol - --yes", stdin="AAAAA-BBBBB", check=False)
        assert refused.code == 1
        assert "cannot be reached" in refused.out
        assert "nothing was changed" in refused.out
        done = pi.sh(f"{INSTALL} --yes", check=False)
        assert done.code == 1, done.out  # doctor: no stream
        assert "the device connects when it can" in done.out
        assert "installed, and something needs attention" in done.out
    finally:
        pi.join_network()
    picture(pi, cloud, 90)


def test_two_at_the_same_time_do_not_meet(pi: Pi) -> None:
    process = pi.start(f"{INSTALL} --yes")
    wait_for(lambda: pi.sh("flock -n /opt/visant/state/install/lock true", check=False).code == 1, 60, "the first one")
    done = pi.sh(f"{INSTALL} --yes", check=False)
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 0, out
    assert done.code == 1
    assert "another installation runs" in done.out


def test_memory_limits_are_switched_on_where_the_kernel_has_them_off(pi: Pi) -> None:
    controllers, off = "/sys/fs/cgroup/cgroup.controllers", "s/memory//"
    if pi.sh(f"test -f {controllers}", check=False).code:  # the older hierarchy, which the kernel lists elsewhere
        controllers, off = "/proc/cgroups", r"s/^\(memory\t.*\)1$/\10/"
    pi.write("/boot/firmware/cmdline.txt", "console=tty1 root=PARTUUID=1-2 rootwait\n")
    pi.sh(f"sed '{off}' {controllers} >/tmp/without; mount --bind /tmp/without {controllers}")
    try:
        assert "cgroup_enable=memory" in pi.sh(f"{INSTALL} --dry-run").out
        assert pi.sh("cat /boot/firmware/cmdline.txt").out == "console=tty1 root=PARTUUID=1-2 rootwait\n"
        for _ in range(2):
            done = pi.sh(f"{INSTALL} --yes", check=False)
            assert done.code == 0, done.out
        assert pi.doctor()["memory"]["level"] == "WARN"
    finally:
        pi.sh(f"umount {controllers}")
    assert (
        pi.sh("cat /boot/firmware/cmdline.txt").out == "console=tty1 root=PARTUUID=1-2 rootwait cgroup_enable=memory\n"
    )


def test_docker_moves_away_from_a_route_of_the_site(pi: Pi, cloud: Cloud) -> None:
    taken = pi.sh('sed -n \'s/.*"base": "\\(.*\\)".*/\\1/p\' /etc/docker/daemon.json').out.strip()
    pi.sh(f"ip route add {taken} via $(ip route | awk '$1 == \"default\" {{ print $3 }}')")
    try:
        assert pi.doctor()["docker"]["level"] == "FAIL"
        done = pi.sh(f"{INSTALL} --yes", check=False)
        assert done.code == 0, done.out
        assert taken not in pi.sh("cat /etc/docker/daemon.json").out
        assert pi.doctor()["docker"]["level"] == "PASS"
        picture(pi, cloud)
    finally:
        pi.sh(f"ip route del {taken}")


def test_wrong_values_end_in_one_line_and_change_nothing(pi: Pi, cloud: Cloud) -> None:
    before = pi.sh("sha256sum /opt/visant/.env.device").out
    for flags, word in (
        ("--device-id 'two words'", "--device-id two words"),
        (f"--device-id {'x' * 65}", "1 to 64 letters"),
        ("--api-url ftp://x", "--api-url ftp://x"),
        ("--channel Stable", "--channel Stable"),
        ("--token-file /opt", "cannot be read"),
        ("--replace", "--replace belongs to --enrol"),
        ("--from /root", "cannot be read"),
    ):
        done = pi.sh(f"{INSTALL} {flags}", check=False)
        assert done.code == 2, done
        assert word in done.out, done
        assert len(done.out.strip().splitlines()) == 1, done
    pi.sh("head -c 5000 /root/visant/release.tar >/tmp/half.tar")
    done = pi.sh(f"{INSTALL} --from /tmp/half.tar --yes", check=False)
    assert done.code != 0
    assert "/tmp/half.tar" in done.out
    assert pi.sh("sha256sum /opt/visant/.env.device").out == before
    connected(pi, cloud)


def test_packages_that_were_interrupted_are_finished(new_pi: NewPi, cloud: Cloud) -> None:
    """On a host without Docker: dpkg is killed while it unpacks, then the power goes while it configures."""
    pi = new_pi("APT")
    command = f"{INSTALL} --device-id {pi.device} --api-url {cloud.url} --camera fake {FROM_KIT} --yes"
    killed_at(pi, command, "Unpacking containerd")
    assert pi.sh("dpkg --audit").out
    killed_at(pi, command, "Setting up containerd", boots=True)
    install(pi, cloud)
    assert not pi.sh("dpkg --audit").out
    picture(pi, cloud, 90)
    pi.remove()
