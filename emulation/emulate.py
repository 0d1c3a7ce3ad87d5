"""`make emulate`: the whole system for a person to play with, until Ctrl-C."""

import argparse
import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from emulation import mail
from emulation.cloud_api import CloudApi
from emulation.console import Console
from emulation.ports import NoFreePort, hold_port
from emulation.processes import Child
from emulation.redis_server import NoRedisServer
from emulation.stack import Cloud, Device
from emulation.wait import TookTooLong

_ROOT = Path(__file__).resolve().parent.parent
_MOST = 50


@contextlib.contextmanager
def state_folder(*, keep: bool) -> Iterator[Path]:
    """A folder below `.state` that is ours while we run: the first that no other emulation holds, emptied at first."""
    base = Path(os.environ.get("VISANT_STATE", _ROOT / ".state"))
    base.mkdir(parents=True, exist_ok=True)
    for number in range(1, 100):
        folder = base / f"emulation-{number}"
        with (base / f"emulation-{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(exist_ok=True)
            yield folder
            return
    raise SystemExit(f"a hundred emulations hold {base}: end some")


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make emulate", description=__doc__)
    parser.add_argument("--devices", type=int, default=1, metavar="N", help=f"how many devices, 1 to {_MOST}")
    parser.add_argument(
        "--keep",
        action="store_true",
        default=os.environ.get("KEEP") == "1",
        help="go on with the state of the run before (KEEP=1)",
    )
    parser.add_argument(
        "--camera", default=os.environ.get("CAMERA_SOURCE", "fake"), help="CAMERA_SOURCE of the devices (default: fake)"
    )
    found = parser.parse_args(argv)
    if not 1 <= found.devices <= _MOST:
        parser.error(f"DEVICES={found.devices} is not between 1 and {_MOST}")
    return found


async def _run(arguments: argparse.Namespace, folder: Path) -> int:
    names = [f"EMULATED-{number}" for number in range(1, arguments.devices + 1)]
    several = len(names) > 1
    console = Console(width=len(names[-1]) + 10 if several else 9)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    children: list[Child] = []

    def asked_to_stop() -> None:
        if stop.is_set():  # the second time: at once
            for child in children:
                child.kill_now()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked_to_stop)

    mail_port, page_port = hold_port(), hold_port(8000)
    sending = {
        "SMTP_URL": f"smtp://127.0.0.1:{mail_port}?tls=none",
        "MAIL_FROM": mail.SENDER,
        "PUBLIC_URL": f"http://127.0.0.1:{page_port}",
    }
    mailbox = mail.Mailbox(folder / "mail", console)
    cloud = Cloud(folder / "cloud", console, sending, port=page_port)
    devices = [
        Device(
            name,
            folder / name,
            cloud.url,
            console,
            {"CAMERA_SOURCE": arguments.camera},
            label=name if several else "",
            usual_ports=not several,
        )
        for name in names
    ]
    children += [cloud.child, *(child for device in devices for child in device.children.values())]

    async def bring_up() -> None:
        await cloud.start()
        async with CloudApi(cloud.url) as api:
            await api.mail_alerts_to(mail.READER)
        for device in devices:
            await device.start()
        await asyncio.gather(*(device.healthy() for device in devices))

    starting = asyncio.create_task(bring_up())
    stopping = asyncio.create_task(stop.wait())
    status = 0
    async with mail.serving(mailbox, mail_port):
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                try:
                    starting.result()
                except (TookTooLong, httpx.HTTPError) as error:
                    console.plain(f"\n  {error}. The lines above say why; everything keeps trying. Ctrl-C ends it.\n")
                _announce(console, cloud.url, devices, folder, fake=arguments.camera == "fake")
                await stopping
        finally:
            starting.cancel()
            stopping.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
            console.plain("\n  ending every process ...")
            await asyncio.gather(*(device.stop() for device in devices))
            await cloud.stop()
            console.plain("  all ended.")
    return status


def _announce(console: Console, url: str, devices: list[Device], folder: Path, *, fake: bool) -> None:
    names = [device.device_id for device in devices]
    which = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    victim = devices[min(1, len(devices) - 1)]
    pulling = [
        f'pull      curl -d \'{{"fault":"absent"}}\' {victim.camera_url}/fake/faults',
        f'          unplugs {victim.device_id}\'s camera, and "none" plugs it in: within two minutes each is a mail',
    ]
    lines = [
        "Visant Edge is running",
        "",
        f"page      {url}/",
        f"device    {which}: press Trigger on the page, or",
        f"          curl -X POST {url}/v1/devices/{names[0]}/trigger",
        f"aiming    {devices[0].camera_url}/ (what {names[0]}'s camera sees)",
        *(pulling if fake else []),
        f"mail      each alert is a file in {_short(folder / 'mail')}, and a line here",
        f"API       {url}/docs",
        f"state     {_short(folder)}, begun anew at each start (KEEP=1 goes on with it)",
        "end       Ctrl-C",
    ]
    width = max(len(line) for line in lines) + 4
    console.plain("\n  ┌" + "─" * width + "┐")
    for line in lines:
        console.plain(f"  │  {line:<{width - 2}}│")
    console.plain("  └" + "─" * width + "┘\n")


def _short(folder: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(folder.relative_to(Path.cwd()))
    return str(folder)


def main(argv: list[str] | None = None) -> int:
    """The exit status: 0 after Ctrl-C, 2 for a wrong call, 1 where it could not start."""
    arguments = _arguments(argv)
    with state_folder(keep=arguments.keep) as folder:
        try:
            return asyncio.run(_run(arguments, folder))
        except (NoRedisServer, NoFreePort) as error:
            print(f"[ERROR] {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
