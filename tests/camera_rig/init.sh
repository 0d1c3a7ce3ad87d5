#!/bin/busybox sh
# First process of the rig's machine: mounts the host's / read-only, runs one command in it, powers off.
# The command and its exit status are files in the results folder, the one place shared for writing.
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox mount -t devtmpfs dev /dev
while read -r module; do
  $busybox insmod "/modules/$module" || echo "rig: insmod $module failed"
done </modules/order
$busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host || $busybox poweroff -f
for tree in dev proc sys; do $busybox mount --bind /$tree /host/$tree; done
$busybox mount -t tmpfs run /host/run
$busybox mkdir -p /host/dev/shm /host/run/results
$busybox mount -t tmpfs shm /host/dev/shm
$busybox mount -t 9p -o trans=virtio,version=9p2000.L,rw,cache=none,msize=512000 results /host/run/results || $busybox poweroff -f
$busybox ifconfig lo 127.0.0.1 up
# Through a pipe, so that the command does not take the serial line for a terminal.
{
  $busybox chroot /host /bin/sh /run/results/command
  echo "$?" >/host/run/results/exit_status
} 2>&1 | $busybox cat
$busybox sync
$busybox poweroff -f
