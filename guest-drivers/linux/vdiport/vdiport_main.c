// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * VDIPort: the byte stream between the agent in a guest and the SPICE server, as /dev/vdiport0.
 *
 * The file is opened by one process at a time, and the device is connected while it is open. The host may end a
 * connection; its number, the generation, is another one then. What is read ends there (0), what is written fails
 * (EPIPE), and poll tells a hang-up, until the file is opened again.
 *
 * The device is not trusted: sizes and counters that it writes are looked at once, in a copy, before they are used.
 * What is ours in the rings is kept here and never read back while the file is open.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pm.h>
#include <linux/poll.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "vdiport_dev.h"

#define VDIPORT_OPENED 0

static DEFINE_IDA(vdiport_numbers);

struct vdiport {
	struct kref kref;
	struct pci_dev *pdev;
	struct miscdevice misc;
	char name[16];
	int number;

	/* Held for reading while the device is used, for writing while it goes. */
	struct rw_semaphore alive;
	bool gone;
	void __iomem *io;
	struct vdiport_ram *ram;

	unsigned long flags;
	/* Of the connection there is; whether it has ended. */
	u32 generation;
	bool hung;

	/* Interrupts so far: who waits looks again when it is another number. */
	wait_queue_head_t wait;
	atomic_t events;

	/* Output ring: ours is the number of the next packet, of which some bytes may have been read. */
	struct mutex read_lock;
	u32 out_cons;
	u32 out_offset;

	/* Input ring: ours is the number of the next packet. */
	struct mutex write_lock;
	u32 in_prod;
};

static u32 ram_read(const __le32 *field)
{
	return le32_to_cpu(READ_ONCE(*field));
}

static void ram_write(__le32 *field, u32 value)
{
	WRITE_ONCE(*field, cpu_to_le32(value));
}

static void vdiport_notify(struct vdiport *port)
{
	iowrite32(0, port->io + VDIPORT_NOTIFY);
}

static void vdiport_set_mask(struct vdiport *port, u32 mask)
{
	ram_write(&port->ram->int_mask, mask);
	/* The device looks at the mask when it is told to. */
	mb();
	iowrite32(0, port->io + VDIPORT_UPDATE_IRQ);
}

static void vdiport_free(struct kref *kref)
{
	struct vdiport *port = container_of(kref, struct vdiport, kref);

	ida_free(&vdiport_numbers, port->number);
	kfree(port);
}

/* Whoever waits looks again. */
static void vdiport_wake(struct vdiport *port)
{
	atomic_inc(&port->events);
	wake_up_interruptible(&port->wait);
}

static void vdiport_hang_up(struct vdiport *port, const char *why)
{
	if (!READ_ONCE(port->hung)) {
		WRITE_ONCE(port->hung, true);
		if (why)
			dev_warn_ratelimited(&port->pdev->dev, "%s, the connection is given up\n", why);
	}
}

/* Whether the connection has ended. */
static bool vdiport_is_hung(struct vdiport *port)
{
	if (ram_read(&port->ram->generation) != port->generation)
		vdiport_hang_up(port, NULL);
	return READ_ONCE(port->hung);
}

static irqreturn_t vdiport_interrupt(int irq, void *data)
{
	struct vdiport *port = data;

	u32 pending = le32_to_cpu((__force __le32)READ_ONCE(port->ram->int_pending));

	if (!(pending & VDIPORT_INTERRUPT) || !READ_ONCE(port->ram->int_mask))
		return IRQ_NONE;
	xchg(&port->ram->int_pending, 0);
	iowrite32(0, port->io + VDIPORT_UPDATE_IRQ);
	vdiport_wake(port);
	return IRQ_HANDLED;
}

/*
 * Packets of the output ring that wait; 0 as well when the device says nonsense, which ends the connection. Packets
 * of earlier connections are passed over.
 */
static u32 vdiport_readable(struct vdiport *port, bool *notify)
{
	struct vdiport_ring *ring = &port->ram->output;
	u32 waiting;

	while ((waiting = ram_read(&ring->prod) - port->out_cons)) {
		struct vdiport_packet *packet = &ring->items[port->out_cons % VDIPORT_ITEMS];
		u32 gen;

		if (waiting > VDIPORT_ITEMS) {
			vdiport_hang_up(port, "the output ring has more packets than places");
			return 0;
		}
		/* The packet is read after the counter that says it is there. */
		virt_rmb();
		gen = ram_read(&packet->gen);
		if (gen == port->generation)
			return waiting;
		if ((s32)(gen - port->generation) > 0) {
			if (!vdiport_is_hung(port))
				vdiport_hang_up(port, "a packet is of a connection to come");
			return 0;
		}
		ram_write(&ring->cons, ++port->out_cons);
		port->out_offset = 0;
		/* The device writes the mark and then reads the counter: here it is the other way round. */
		virt_mb();
		*notify |= ram_read(&ring->notify_on_cons) == port->out_cons;
	}
	return 0;
}

/* Asks to be told of the next packet; whether there is one already. */
static bool vdiport_await_packet(struct vdiport *port)
{
	struct vdiport_ring *ring = &port->ram->output;

	ram_write(&ring->notify_on_prod, port->out_cons + 1);
	/* The device writes its counter and then reads the mark: here it is the other way round. */
	virt_mb();
	return ram_read(&ring->prod) != port->out_cons;
}

/* Places in the input ring; none when the device says nonsense, which ends the connection. */
static u32 vdiport_room(struct vdiport *port)
{
	u32 used = port->in_prod - ram_read(&port->ram->input.cons);

	if (used > VDIPORT_ITEMS) {
		vdiport_hang_up(port, "the input ring has more packets than places");
		return 0;
	}
	return VDIPORT_ITEMS - used;
}

/* Asks to be told of the next free place; whether there is one already. */
static bool vdiport_await_room(struct vdiport *port)
{
	struct vdiport_ring *ring = &port->ram->input;

	ram_write(&ring->notify_on_cons, port->in_prod - VDIPORT_ITEMS + 1);
	/* The device writes its counter and then reads the mark: here it is the other way round. */
	virt_mb();
	return vdiport_room(port) > 0;
}

static struct vdiport *vdiport_of(struct file *file)
{
	return file->private_data;
}

/* Waits for an interrupt after `seen`. */
static int vdiport_sleep(struct vdiport *port, int seen)
{
	return wait_event_interruptible(port->wait, atomic_read(&port->events) != seen || READ_ONCE(port->gone));
}

/* Copies what is there; the number of bytes, or an error. */
static ssize_t vdiport_take(struct vdiport *port, char __user *buffer, size_t count)
{
	struct vdiport_ring *ring = &port->ram->output;
	bool notify = false;
	ssize_t done = 0;

	while (done < count && vdiport_readable(port, &notify)) {
		struct vdiport_packet *packet = &ring->items[port->out_cons % VDIPORT_ITEMS];
		u32 size = ram_read(&packet->size);
		u32 part;

		if (size > VDIPORT_PACKET_BYTES || size < port->out_offset) {
			vdiport_hang_up(port, "a packet is larger than packets are");
			break;
		}
		part = min_t(size_t, size - port->out_offset, count - done);
		if (copy_to_user(buffer + done, packet->data + port->out_offset, part)) {
			done = done ?: -EFAULT;
			break;
		}
		done += part;
		port->out_offset += part;
		if (port->out_offset == size) {
			port->out_offset = 0;
			/* The place is given back after it was read. */
			virt_mb();
			ram_write(&ring->cons, ++port->out_cons);
			/* And the mark is read after that. */
			virt_mb();
			notify |= ram_read(&ring->notify_on_cons) == port->out_cons;
		}
	}
	if (notify)
		vdiport_notify(port);
	return done;
}

static ssize_t vdiport_read(struct file *file, char __user *buffer, size_t count, loff_t *offset)
{
	struct vdiport *port = vdiport_of(file);
	ssize_t done;

	if (!count)
		return 0;
	for (;;) {
		int seen = atomic_read(&port->events);
		bool again = false, is_there = false;

		if (mutex_lock_interruptible(&port->read_lock))
			return -ERESTARTSYS;
		down_read(&port->alive);
		if (port->gone) {
			done = -ENODEV;
		} else if (vdiport_is_hung(port)) {
			done = 0;
		} else {
			done = vdiport_take(port, buffer, count);
			again = !done && !vdiport_is_hung(port);
			/* What has come meanwhile is there already. */
			is_there = again && vdiport_await_packet(port);
		}
		up_read(&port->alive);
		mutex_unlock(&port->read_lock);
		if (!again)
			return done;
		if (is_there)
			continue;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (vdiport_sleep(port, seen))
			return -ERESTARTSYS;
	}
}

/* Puts as much into the ring as it has room for; the number of bytes, or an error. */
static ssize_t vdiport_put(struct vdiport *port, const char __user *buffer, size_t count)
{
	struct vdiport_ring *ring = &port->ram->input;
	bool notify = false;
	ssize_t done = 0;

	while (done < count && vdiport_room(port)) {
		struct vdiport_packet *packet = &ring->items[port->in_prod % VDIPORT_ITEMS];
		u32 part = min_t(size_t, VDIPORT_PACKET_BYTES, count - done);

		/* The place has been given back before it is written. */
		virt_mb();
		if (copy_from_user(packet->data, buffer + done, part)) {
			done = done ?: -EFAULT;
			break;
		}
		ram_write(&packet->gen, port->generation);
		ram_write(&packet->size, part);
		/* The counter says that the packet is there. */
		virt_wmb();
		ram_write(&ring->prod, ++port->in_prod);
		/* The device writes the mark and then reads the counter: here it is the other way round. */
		virt_mb();
		notify |= ram_read(&ring->notify_on_prod) == port->in_prod;
		done += part;
	}
	if (notify)
		vdiport_notify(port);
	return done;
}

static ssize_t vdiport_write(struct file *file, const char __user *buffer, size_t count, loff_t *offset)
{
	struct vdiport *port = vdiport_of(file);
	size_t done = 0;

	while (done < count) {
		int seen = atomic_read(&port->events);
		bool is_room = false;
		ssize_t part;

		if (mutex_lock_interruptible(&port->write_lock))
			return done ?: -ERESTARTSYS;
		down_read(&port->alive);
		if (port->gone) {
			part = -ENODEV;
		} else if (vdiport_is_hung(port)) {
			part = -EPIPE;
		} else {
			part = vdiport_put(port, buffer + done, count - done);
			is_room = part >= 0 && done + part < count && vdiport_await_room(port);
			/* Either may have found that the connection has ended: nobody wakes who sleeps then. */
			if (!part && vdiport_is_hung(port))
				part = -EPIPE;
		}
		up_read(&port->alive);
		mutex_unlock(&port->write_lock);
		if (part < 0)
			return done ?: part;
		done += part;
		if (done == count || is_room)
			continue;
		if (file->f_flags & O_NONBLOCK)
			return done ?: -EAGAIN;
		if (vdiport_sleep(port, seen))
			return done ?: -ERESTARTSYS;
	}
	return done;
}

static __poll_t vdiport_poll(struct file *file, poll_table *table)
{
	struct vdiport *port = vdiport_of(file);
	bool notify = false;
	__poll_t is = 0;

	poll_wait(file, &port->wait, table);
	mutex_lock(&port->read_lock);
	mutex_lock(&port->write_lock);
	down_read(&port->alive);
	if (port->gone) {
		is = EPOLLHUP | EPOLLERR;
	} else {
		if (vdiport_readable(port, &notify) || (vdiport_await_packet(port) && vdiport_readable(port, &notify)))
			is |= EPOLLIN | EPOLLRDNORM;
		if (vdiport_room(port) || vdiport_await_room(port))
			is |= EPOLLOUT | EPOLLWRNORM;
		if (notify)
			vdiport_notify(port);
		/* A read that ends at once does not wait either. */
		if (vdiport_is_hung(port))
			is = EPOLLHUP | EPOLLIN | EPOLLRDNORM;
	}
	up_read(&port->alive);
	mutex_unlock(&port->write_lock);
	mutex_unlock(&port->read_lock);
	return is;
}

static int vdiport_connect(struct vdiport *port)
{
	u32 generation = ioread32(port->io + VDIPORT_CONNECTION);

	if (!generation) {
		/* Who was connected is not there any more: firmware, or a kernel before this one. */
		iowrite32(0, port->io + VDIPORT_CONNECTION);
		generation = ioread32(port->io + VDIPORT_CONNECTION);
	}
	if (!generation)
		return -EBUSY;
	/* What reads from a device that is not there give. */
	if (generation == ~0u && ram_read(&port->ram->magic) != VDIPORT_MAGIC)
		return -ENODEV;
	port->generation = generation;
	port->out_cons = ram_read(&port->ram->output.cons);
	port->in_prod = ram_read(&port->ram->input.prod);
	port->out_offset = 0;
	WRITE_ONCE(port->hung, false);
	vdiport_set_mask(port, VDIPORT_INTERRUPT);
	return 0;
}

static int vdiport_open(struct inode *inode, struct file *file)
{
	struct vdiport *port = container_of(file->private_data, struct vdiport, misc);
	int error;

	if (test_and_set_bit(VDIPORT_OPENED, &port->flags))
		return -EBUSY;
	down_read(&port->alive);
	error = port->gone ? -ENODEV : vdiport_connect(port);
	up_read(&port->alive);
	if (error) {
		clear_bit(VDIPORT_OPENED, &port->flags);
		return error;
	}
	kref_get(&port->kref);
	file->private_data = port;
	return stream_open(inode, file);
}

static int vdiport_release(struct inode *inode, struct file *file)
{
	struct vdiport *port = vdiport_of(file);

	down_read(&port->alive);
	if (!port->gone) {
		vdiport_set_mask(port, 0);
		iowrite32(0, port->io + VDIPORT_CONNECTION);
	}
	up_read(&port->alive);
	clear_bit(VDIPORT_OPENED, &port->flags);
	kref_put(&port->kref, vdiport_free);
	return 0;
}

static const struct file_operations vdiport_operations = {
	.owner = THIS_MODULE,
	.open = vdiport_open,
	.release = vdiport_release,
	.read = vdiport_read,
	.write = vdiport_write,
	.poll = vdiport_poll,
};

/* Whether it is a device that this driver knows. */
static int vdiport_check(struct vdiport *port)
{
	struct pci_dev *pdev = port->pdev;
	struct vdiport_ram *ram = port->ram;

	if (ram_read(&ram->magic) != VDIPORT_MAGIC) {
		dev_err(&pdev->dev, "magic is %#x, not %#x\n", ram_read(&ram->magic), VDIPORT_MAGIC);
		return -ENODEV;
	}
	if (ram_read(&ram->input.num_items) != VDIPORT_ITEMS || ram_read(&ram->output.num_items) != VDIPORT_ITEMS) {
		dev_err(&pdev->dev, "rings have %u and %u items, not %u\n", ram_read(&ram->input.num_items),
			ram_read(&ram->output.num_items), VDIPORT_ITEMS);
		return -ENODEV;
	}
	return 0;
}

static int vdiport_map(struct vdiport *port)
{
	struct pci_dev *pdev = port->pdev;

	if (pdev->revision != VDIPORT_REVISION) {
		dev_err(&pdev->dev, "revision is %u, not %u\n", pdev->revision, VDIPORT_REVISION);
		return -ENODEV;
	}
	if (pci_resource_len(pdev, VDIPORT_IO_BAR) < VDIPORT_IO_BYTES ||
	    pci_resource_len(pdev, VDIPORT_RAM_BAR) < sizeof(*port->ram)) {
		dev_err(&pdev->dev, "BARs have %#llx and %#llx bytes\n",
			(unsigned long long)pci_resource_len(pdev, VDIPORT_IO_BAR),
			(unsigned long long)pci_resource_len(pdev, VDIPORT_RAM_BAR));
		return -ENODEV;
	}
	port->io = pcim_iomap_table(pdev)[VDIPORT_IO_BAR];
	/* It is memory of the host: cached, as the other side has it. */
	port->ram = devm_memremap(&pdev->dev, pci_resource_start(pdev, VDIPORT_RAM_BAR), sizeof(*port->ram),
				  MEMREMAP_WB);
	if (IS_ERR(port->ram))
		return PTR_ERR(port->ram);
	return vdiport_check(port);
}

static int vdiport_start(struct vdiport *port)
{
	struct pci_dev *pdev = port->pdev;
	int error;

	error = pcim_enable_device(pdev);
	if (!error)
		error = pcim_iomap_regions(pdev, BIT(VDIPORT_IO_BAR), KBUILD_MODNAME);
	if (!error)
		error = vdiport_map(port);
	if (error)
		return error;
	vdiport_set_mask(port, 0);
	error = request_irq(pdev->irq, vdiport_interrupt, IRQF_SHARED, KBUILD_MODNAME, port);
	if (error)
		return error;

	snprintf(port->name, sizeof(port->name), "vdiport%d", port->number);
	port->misc.minor = MISC_DYNAMIC_MINOR;
	port->misc.name = port->name;
	port->misc.fops = &vdiport_operations;
	port->misc.parent = &pdev->dev;
	port->misc.mode = 0600;
	error = misc_register(&port->misc);
	if (error)
		free_irq(pdev->irq, port);
	return error;
}

static int vdiport_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct vdiport *port;
	int error;

	port = kzalloc(sizeof(*port), GFP_KERNEL);
	if (!port)
		return -ENOMEM;
	port->number = ida_alloc(&vdiport_numbers, GFP_KERNEL);
	if (port->number < 0) {
		error = port->number;
		kfree(port);
		return error;
	}
	kref_init(&port->kref);
	init_rwsem(&port->alive);
	init_waitqueue_head(&port->wait);
	mutex_init(&port->read_lock);
	mutex_init(&port->write_lock);
	port->pdev = pdev;

	error = vdiport_start(port);
	if (error)
		kref_put(&port->kref, vdiport_free);
	else
		pci_set_drvdata(pdev, port);
	return error;
}

static void vdiport_remove(struct pci_dev *pdev)
{
	struct vdiport *port = pci_get_drvdata(pdev);

	/* Nobody opens it any more. Who has it open keeps the structure, but not the device. */
	misc_deregister(&port->misc);
	down_write(&port->alive);
	WRITE_ONCE(port->gone, true);
	vdiport_set_mask(port, 0);
	iowrite32(0, port->io + VDIPORT_CONNECTION);
	up_write(&port->alive);
	free_irq(pdev->irq, port);
	vdiport_wake(port);
	kref_put(&port->kref, vdiport_free);
}

/* A device that has lost its power has other counters, and no connection. */
static int vdiport_resume(struct device *dev)
{
	struct vdiport *port = dev_get_drvdata(dev);

	if (test_bit(VDIPORT_OPENED, &port->flags)) {
		if (!vdiport_is_hung(port))
			vdiport_set_mask(port, VDIPORT_INTERRUPT);
		vdiport_wake(port);
	}
	return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(vdiport_pm, NULL, vdiport_resume);

static const struct pci_device_id vdiport_devices[] = {
	{ PCI_DEVICE(VDIPORT_VENDOR_ID, VDIPORT_DEVICE_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, vdiport_devices);

static struct pci_driver vdiport_driver = {
	.name = KBUILD_MODNAME,
	.id_table = vdiport_devices,
	.probe = vdiport_probe,
	.remove = vdiport_remove,
	.driver.pm = pm_sleep_ptr(&vdiport_pm),
};
module_pci_driver(vdiport_driver);

MODULE_DESCRIPTION("VDIPort: the agent's way to the SPICE server");
MODULE_LICENSE("Dual MIT/GPL");
