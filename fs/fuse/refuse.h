/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests for what cannot be done in the trees, as sysfs answers them: see fuse_lowlevel_ops. */
#ifndef DAMONFS_FS_FUSE_REFUSE_H
#define DAMONFS_FS_FUSE_REFUSE_H

#include <fuse_lowlevel.h>

/* EACCES. */
void refuse_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi);

/* All others: EPERM. */
void refuse_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev);
void refuse_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void refuse_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void refuse_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void refuse_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		   const char *new_name, unsigned int flags);
void refuse_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);

#endif
