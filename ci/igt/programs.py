"""Which of IGT's test programs are run: those about DRM and mode setting that know of no driver."""

# A subtest that has said nothing for so long has timed out, in seconds. On a nested host it is a hundred times what a
# computer takes, but for the programs that go on for a fixed time of their own.
SILENCE = 120.0
# What a program may take in all, unless told otherwise; the subtests that are left then have timed out.
LIMIT = 900.0

PROGRAMS = (
    # clients of the device, and who of them is master
    "core_auth", "core_getclient", "core_getstats", "core_getversion", "core_setmaster", "core_setmaster_vs_auth",
    # events, memory, the console's framebuffer, buffers between devices
    "drm_read", "dumb_buffer", "fbdev", "prime_mmap_kms",
    # framebuffers, properties
    "kms_addfb_basic", "kms_getfb", "kms_prop_blob", "kms_properties", "kms_rmfb",
    # modes and connectors
    "kms_3d", "kms_display_modes", "kms_force_connector_basic", "kms_invalid_mode", "kms_lease", "kms_multipipe_modeset",
    "kms_setmode", "kms_sysfs_edid_timing",
    # planes
    "kms_atomic", "kms_atomic_interruptible", "kms_atomic_transition", "kms_concurrent", "kms_cursor_crc",
    "kms_cursor_edge_walk", "kms_plane", "kms_plane_cursor", "kms_plane_multiple", "kms_plane_scaling",
    "kms_universal_plane",
    # time, and what takes much of it
    "kms_flip_event_leak", "kms_sequence", "kms_vblank", "kms_flip", "kms_cursor_legacy",
    # the driver goes and comes: last, as not every driver is the same afterwards
    "core_hotunplug",
)  # fmt: skip
