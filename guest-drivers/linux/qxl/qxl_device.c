// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The device itself: its BARs, ports and interrupt, and how it is started and stopped.
 *
 * A device that does what it must not is left alone, and a work resets it; a few times a minute, and then no more
 * until the system was suspended or the driver bound again.
 */
#include <asm/barrier.h>
#include <drm/drm_drv.h>
#include <linux/io.h>
#include <linux/pci.h>

#include "qxl.h"

#define QXL_INTERRUPTS	(QXL_INT_IO_CMD | QXL_INT_ERROR | QXL_INT_CLIENT_MONITORS)
/* Of use only to who waits for room; some devices interrupt for whatever they take or release. */
#define QXL_INTERRUPTS_ROOM	(QXL_INT_DISPLAY | QXL_INT_CURSOR)
/* A port that takes longer than this will not be done any more. */
#define QXL_PORT_TIMEOUT	(5 * HZ)

void qxl_device_write(struct qxl *qxl, u8 port)
{
	iowrite8(0, qxl->io + port);
}

bool qxl_device_is_usable(struct qxl *qxl)
{
	return READ_ONCE(qxl->is_running) && !READ_ONCE(qxl->has_failed);
}

/* In any context. Nothing is said of a device that is already left alone. */
void qxl_device_fail(struct qxl *qxl, const char *why)
{
	if (!qxl_device_is_usable(qxl))
		return;
	WRITE_ONCE(qxl->has_failed, true);
	/* Who waits for a port does so in vain. */
	complete(&qxl->io_done);
	drm_err(&qxl->drm, "%s, the device is reset\n", why);
	queue_work(qxl->works, &qxl->recover);
}

/* Writes a port of those that end with an interrupt, and waits for it. */
int qxl_device_run(struct qxl *qxl, u8 port, u8 value)
{
	lockdep_assert_held(&qxl->lock);
	reinit_completion(&qxl->io_done);
	if (!qxl_device_is_usable(qxl))
		return -EIO;
	iowrite8(value, qxl->io + port);
	if (wait_for_completion_timeout(&qxl->io_done, QXL_PORT_TIMEOUT))
		return qxl_device_is_usable(qxl) ? 0 : -EIO;
	qxl_device_fail(qxl, "a port does not answer");
	return -ETIMEDOUT;
}

irqreturn_t qxl_device_interrupt(int irq, void *data)
{
	struct qxl *qxl = data;
	u32 pending = le32_to_cpu((__force __le32)xchg(&qxl->ram->int_pending, 0));

	if (!pending)
		return IRQ_NONE;
	atomic_inc(&qxl->interrupts);
	/* The level is what the fields say when this is written; what comes from here on is another interrupt. */
	qxl_device_write(qxl, QXL_PORT_UPDATE_IRQ);
	if (pending & QXL_INT_IO_CMD)
		complete(&qxl->io_done);
	/* Bits may be pending that were not asked for, before the start as well. */
	if (!READ_ONCE(qxl->is_running))
		return IRQ_HANDLED;
	if (pending & QXL_INTERRUPTS_ROOM)
		queue_work(qxl->works, &qxl->progress);
	if (pending & QXL_INT_CLIENT_MONITORS)
		queue_work(qxl->works, &qxl->hotplug);
	if (pending & QXL_INT_ERROR)
		qxl_device_fail(qxl, "the device does not understand what was asked of it");
	return IRQ_HANDLED;
}

static void qxl_device_set_mask(struct qxl *qxl, u32 mask)
{
	ram_write(&qxl->ram->int_mask, mask);
	/* The device looks at the mask when it is told to. */
	mb();
	qxl_device_write(qxl, QXL_PORT_UPDATE_IRQ);
}

/* Something waits for room: what the device takes and releases from here on interrupts. Then it is looked once more. */
void qxl_device_await_room(struct qxl *qxl)
{
	lockdep_assert_held(&qxl->lock);
	if (qxl->awaits_room)
		return;
	qxl->awaits_room = true;
	/* What is pending already would not interrupt again. */
	atomic_andnot((__force int)cpu_to_le32(QXL_INTERRUPTS_ROOM), (atomic_t *)&qxl->ram->int_pending);
	ram_write(&qxl->ram->int_mask, QXL_INTERRUPTS | QXL_INTERRUPTS_ROOM);
	/* The device makes room and then reads the mask: here it is the other way round. */
	virt_mb();
}

/* Nothing does any more. A line that is up stays so until the handler has seen to it. */
void qxl_device_ignore_room(struct qxl *qxl)
{
	lockdep_assert_held(&qxl->lock);
	if (!qxl->awaits_room)
		return;
	qxl->awaits_room = false;
	ram_write(&qxl->ram->int_mask, QXL_INTERRUPTS);
}

/* It is memory of the host: cached, as the other side has it; and so without another mapping that is not. */
static void *qxl_device_map_memory(struct pci_dev *pdev, int bar)
{
	resource_size_t start = pci_resource_start(pdev, bar), bytes = pci_resource_len(pdev, bar);

	/* A framebuffer that the firmware has set up may still be registered in it, without a driver. */
	if (!devm_request_mem_region(&pdev->dev, start, bytes, KBUILD_MODNAME))
		dev_warn(&pdev->dev, "BAR %d is registered by another driver\n", bar);
	return devm_memremap(&pdev->dev, start, bytes, MEMREMAP_WB);
}

int qxl_device_map(struct qxl *qxl)
{
	struct pci_dev *pdev = to_pci_dev(qxl->drm.dev);
	u64 ram_bytes = pci_resource_len(pdev, QXL_RAM_BAR);
	void *mapped;
	int error;

	if (pdev->revision < QXL_REVISION_MIN) {
		drm_err(&qxl->drm, "revision is %u, not at least %u\n", pdev->revision, QXL_REVISION_MIN);
		return -ENODEV;
	}
	if (!(pci_resource_flags(pdev, QXL_IO_BAR) & IORESOURCE_IO) ||
	    pci_resource_len(pdev, QXL_IO_BAR) < QXL_IO_BYTES ||
	    pci_resource_len(pdev, QXL_ROM_BAR) < sizeof(struct qxl_rom) || ram_bytes < sizeof(struct qxl_ram)) {
		drm_err(&qxl->drm, "BARs have %#llx, %#llx and %#llx bytes\n", ram_bytes,
			(u64)pci_resource_len(pdev, QXL_ROM_BAR), (u64)pci_resource_len(pdev, QXL_IO_BAR));
		return -ENODEV;
	}
	error = pcim_iomap_regions(pdev, BIT(QXL_IO_BAR), KBUILD_MODNAME);
	if (error)
		return error;
	qxl->io = pcim_iomap_table(pdev)[QXL_IO_BAR];

	mapped = qxl_device_map_memory(pdev, QXL_ROM_BAR);
	if (IS_ERR(mapped))
		return PTR_ERR(mapped);
	qxl->rom = mapped;
	error = qxl_rom_check(qxl, ram_bytes);
	if (error)
		return error;
	mapped = qxl_device_map_memory(pdev, QXL_RAM_BAR);
	if (IS_ERR(mapped))
		return PTR_ERR(mapped);
	qxl->ram_bar = mapped;
	qxl->ram_bar_start = pci_resource_start(pdev, QXL_RAM_BAR);
	qxl->ram = mapped + qxl->limits.header_offset;
	return 0;
}

/* The only slot: the picture, and the memory for commands. The header is not in it. */
static int qxl_device_add_slot(struct qxl *qxl)
{
	struct qxl_limits *limits = &qxl->limits;
	u32 generation;
	int error;

	put_unaligned_le64(qxl->ram_bar_start, &qxl->ram->mem_slot_start);
	put_unaligned_le64(qxl->ram_bar_start + limits->header_offset, &qxl->ram->mem_slot_end);
	error = qxl_device_run(qxl, QXL_PORT_MEMSLOT_ADD_ASYNC, limits->slot);
	if (error)
		return error;
	generation = READ_ONCE(qxl->rom->slot_generation);
	if (generation >> limits->generation_bits) {
		drm_err(&qxl->drm, "generation %u has more than %u bits\n", generation, limits->generation_bits);
		return -ENODEV;
	}
	qxl->slot_address = ((u64)limits->slot << limits->generation_bits | generation)
			    << (64 - limits->id_bits - limits->generation_bits);
	return 0;
}

/* Resets the device, whatever state it is in. The interrupt must have its handler. */
int qxl_device_start(struct qxl *qxl)
{
	int error;

	lockdep_assert_held(&qxl->lock);
	WRITE_ONCE(qxl->is_running, false);
	qxl_device_write(qxl, QXL_PORT_RESET);
	if (ram_read(&qxl->ram->magic) != QXL_RAM_MAGIC) {
		drm_err(&qxl->drm, "magic of the RAM is %#x, not %#x\n", ram_read(&qxl->ram->magic), QXL_RAM_MAGIC);
		return -ENODEV;
	}
	if (ram_read(&qxl->ram->cmd_ring.ring.num_items) != QXL_COMMANDS ||
	    ram_read(&qxl->ram->cursor_ring.ring.num_items) != QXL_COMMANDS ||
	    ram_read(&qxl->ram->release_ring.ring.num_items) != QXL_RELEASES) {
		drm_err(&qxl->drm, "rings have %u, %u and %u items\n", ram_read(&qxl->ram->cmd_ring.ring.num_items),
			ram_read(&qxl->ram->cursor_ring.ring.num_items),
			ram_read(&qxl->ram->release_ring.ring.num_items));
		return -ENODEV;
	}
	qxl_ring_init(qxl);
	qxl_arena_reset(qxl);
	qxl->has_primary = false;
	qxl->is_pointer_shown = false;
	qxl->is_shape_stale = true;
	qxl->is_position_stale = true;

	WRITE_ONCE(qxl->has_failed, false);
	WRITE_ONCE(qxl->is_running, true);
	qxl->awaits_room = false;
	qxl_device_set_mask(qxl, QXL_INTERRUPTS);
	error = qxl_device_add_slot(qxl);
	if (error)
		qxl_device_stop(qxl);
	return error;
}

/* As the firmware left it: the text console works again. */
void qxl_device_stop(struct qxl *qxl)
{
	lockdep_assert_held(&qxl->lock);
	WRITE_ONCE(qxl->is_running, false);
	qxl->has_primary = false;
	qxl_device_set_mask(qxl, 0);
	qxl_device_write(qxl, QXL_PORT_RESET);
}
