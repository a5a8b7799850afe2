/* Limits that administrators write down: those of a systemd service and of logins. Pure: text in, figures out; what
 * the real parsers would refuse is READING_UNREADABLE here or passed over. Any thread. */
#ifndef DOCTOR_SERVICE_H
#define DOCTOR_SERVICE_H

#include "doctor/reading.h"

/* Zeroed at first: nothing said. */
struct service {
	struct reading descriptors; /* LimitNOFILE, or DefaultLimitNOFILE of the manager: the hard one */
	struct reading tasks;       /* TasksMax */
	struct reading memory;      /* MemoryMax */
};

/* What a share of "50%" is a share of. */
struct service_whole {
	struct reading tasks;
	struct reading memory;
};

/* Applies a unit file, a drop-in or system.conf on top of what was said before: the last word counts, and an empty
 * value takes back what was said (systemd.unit(5), systemd.exec(5)). */
void service_apply(struct service *service, struct slice text, const struct service_whole *whole);

/* Applies a file of pam_limits on top: the hard nofile of everybody ("*"), limits.conf(5). */
void service_apply_logins(struct reading *descriptors, struct slice text);

#endif
