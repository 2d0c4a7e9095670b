#!/bin/sh
# cycles COUNT [FIRST]: loads our drivers, uses them and unloads them, COUNT times. Says "cycles: done" at the end, or what
# could not be done.
set -u
count=$1

give_up() {
    echo "cycles: $* in cycle $i"
    exit 1
}

# Only a driver that nobody uses can be unloaded; the console is given up first.
leave_console() {
    for console in /sys/class/vtconsole/*; do
        grep -q 'frame buffer' "$console/name" && echo 0 >"$console/bind"
    done
    return 0
}

i=0
while [ "$i" -lt "$count" ]; do
    i=$((i + 1))
    insmod /modules/caraway_qxl.ko || give_up "caraway_qxl is not loaded"
    insmod /modules/vdiport.ko || give_up "vdiport is not loaded"
    printf '\033[3%dmcycle %d\033[m\n' $((i % 7 + 1)) "$i" >/dev/tty1
    # Connected, and gone again.
    (exec 5<>/dev/vdiport0) || give_up "vdiport cannot be opened"
    # The console draws every time; all that a program can do takes longer.
    if [ $((i % 10)) -eq 0 ]; then
        exercise draw /dev/dri/card0 1 "$i" >/tmp/exercise || give_up "$(cat /tmp/exercise)"
        echo "cycles: $i"
    fi
    leave_console
    rmmod vdiport || give_up "vdiport is not unloaded"
    rmmod caraway_qxl || give_up "caraway_qxl is not unloaded"
done
grep -E 'caraway_qxl|vdiport' /proc/interrupts && give_up "a handler is left behind"
echo "cycles: done"
