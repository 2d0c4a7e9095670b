#!/bin/busybox sh
# First process of the nested host. Up to "ready" nothing depends on the host's files, so that the machine can be saved
# there once and be started again from that point; everything after "go" belongs to one job.
export PATH=/bin HOME=/root
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
[ -e /dev/stdin ] || ln -s /proc/self/fd/0 /dev/stdin
[ -e /dev/stdout ] || ln -s /proc/self/fd/1 /dev/stdout
[ -e /dev/stderr ] || ln -s /proc/self/fd/2 /dev/stderr

while read -r module; do
    insmod "/modules/$module.ko" || echo "cannot load $module"
done </modules/order

ip link set lo up
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
hostname nested
ulimit -n 65536

# Prints the device of a virtio-serial port; the numbers in the device names are not fixed.
port() {
    for name in /sys/class/virtio-ports/*/name; do
        if [ "$(cat "$name")" = "$1" ]; then
            echo "/dev/$(basename "$(dirname "$name")")"
        fi
    done
}
stdout=$(port stdout)
stderr=$(port stderr)
exec 3<>"$(port control)"

[ -c /dev/kvm ] || echo "failed: no /dev/kvm in the nested host" >&3
echo ready >&3
read -r word now folder <&3
[ "$word" = go ] || echo "failed: expected go, got $word" >&3

date -s "@$now" >/dev/null
dd if=/dev/hwrng of=/dev/urandom bs=64 count=1 2>/dev/null

mkdir -p /host /upper
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,ro,cache=loose root /host ||
    echo "failed: cannot mount the host's root" >&3
mount -t tmpfs -o size=75% tmpfs /upper
mkdir /upper/changes /upper/work
mount -t overlay -o lowerdir=/host,upperdir=/upper/changes,workdir=/upper/work overlay /new ||
    echo "failed: cannot mount the overlay" >&3
mount --bind /sys /new/sys
mount --rbind /dev /new/dev
# Sockets and lock files of the host's own processes mean nothing in here.
mount -t tmpfs tmpfs /new/run
while IFS="$(printf '\t')" read -r tag path; do
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none "$tag" "/new$path" ||
        echo "failed: cannot mount the shared folder $path" >&3
done <"/host$folder/shares"

# The host takes a silent machine for a hanging one.
while sleep 5; do echo tick; done >&3 &

# The job gets pipes, not the ports: a port can be opened only once, so that /dev/stderr would not work.
mkfifo /out /err
cat /out >"$stdout" 3>&- &
out=$!
cat /err >"$stderr" 3>&- &
err=$!
echo started >&3
# In a process namespace of its own: when the job ends, what it left running ends, and the pipes are complete.
# /proc comes first: until then the chroot shows the host's own, in which "self" is QEMU.
unshare -m -p -f sh -c '
    mount -t proc proc /new/proc
    exec chroot /new /bin/sh -c "sh \"\$1\" & wait \$!" job "$1"' job "$folder/job" </dev/null >/out 2>/err 3>&-
code=$?
wait $out $err
echo "rc $code" >&3
# Kept alive: the end of the first process would be a kernel panic, and the host reads the line first.
while true; do sleep 3600; done
