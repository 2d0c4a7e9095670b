// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The rings of commands: we produce, the device consumes. What is drawn at once is published at once: to ring for the
 * device is dear, since a guest is left for it.
 */
#include <asm/barrier.h>

#include "qxl.h"

void qxl_ring_init(struct qxl *qxl)
{
	qxl->commands = (struct qxl_producer){ .ring = &qxl->ram->cmd_ring, .port = QXL_PORT_NOTIFY_CMD };
	qxl->cursor_commands = (struct qxl_producer){ .ring = &qxl->ram->cursor_ring, .port = QXL_PORT_NOTIFY_CURSOR };
}

static u32 qxl_ring_room(struct qxl *qxl, struct qxl_producer *producer)
{
	u32 used = producer->prod - ram_read(&producer->ring->ring.cons);

	if (used > QXL_COMMANDS) {
		qxl_device_fail(qxl, "a ring has more commands than places");
		return 0;
	}
	return QXL_COMMANDS - used;
}

/* Whether a command can be pushed. When not, the device tells when one can. */
bool qxl_ring_has_room(struct qxl *qxl, struct qxl_producer *producer)
{
	if (qxl_ring_room(qxl, producer))
		return true;
	qxl_ring_publish(qxl, producer);
	/* Not for the first place: there is more to come than one command. */
	ram_write(&producer->ring->ring.notify_on_cons, producer->prod - QXL_COMMANDS / 2);
	qxl_device_await_room(qxl);
	/* The device writes its counter and then reads the mark: here it is the other way round. */
	virt_mb();
	return qxl_ring_room(qxl, producer) > 0;
}

/* Puts a command into the ring, for which there is room. The device sees it when it is published. */
void qxl_ring_push(struct qxl *qxl, struct qxl_producer *producer, u32 type, u64 address)
{
	struct qxl_command *item = &producer->ring->items[producer->prod % QXL_COMMANDS];

	lockdep_assert_held(&qxl->lock);
	qxl->moves++;
	/* The place was given back before it is written. */
	virt_mb();
	put_unaligned_le64(address, &item->data);
	ram_write(&item->type, type);
	ram_write(&item->padding, 0);
	producer->prod++;
}

/* The device is to take what has been pushed. */
void qxl_ring_publish(struct qxl *qxl, struct qxl_producer *producer)
{
	u32 count = producer->prod - producer->published;

	lockdep_assert_held(&qxl->lock);
	if (!count)
		return;
	producer->published = producer->prod;
	/* The counter says that the commands are there. */
	virt_wmb();
	ram_write(&producer->ring->ring.prod, producer->prod);
	/* The device writes the mark and then reads the counter: here it is the other way round. */
	virt_mb();
	/* A device that waits has marked the first of them; the mark of one that does not is not among them. */
	if (producer->prod - ram_read(&producer->ring->ring.notify_on_prod) < count)
		qxl_device_write(qxl, producer->port);
}
