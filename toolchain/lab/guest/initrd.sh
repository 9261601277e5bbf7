#!/bin/busybox sh
# First process of an emulated device: load the kernel's modules, mount the disk, hand over to its init.
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in $(/bin/busybox cat /modules/order); do
  /bin/busybox insmod "/modules/$module.ko" $(/bin/busybox cat "/modules/$module.options" 2>/dev/null)
done
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 100 ]; do /bin/busybox usleep 50000; tries=$((tries + 1)); done
/bin/busybox mount -t ext4 /dev/vda /root || exec /bin/busybox sh
# Who this device is: the only part of its first file system that is its own.
/bin/busybox cp /device/hostname /root/etc/hostname
/bin/busybox cp /device/host_key /root/etc/ssh/lab_host_key
/bin/busybox chmod 600 /root/etc/ssh/lab_host_key
/bin/busybox cp /device/authorized_keys /root/root/.ssh/authorized_keys
/bin/busybox chmod 600 /root/root/.ssh/authorized_keys
/bin/busybox mount -t tmpfs -o mode=755 tmpfs /root/run
/bin/busybox mkdir -p /root/run/lab /root/run/sshd
/bin/busybox cp /modules/test_power.ko /root/run/lab/
for mounted in proc sys dev; do /bin/busybox mount --move "/$mounted" "/root/$mounted"; done
exec /bin/busybox switch_root /root /sbin/init
