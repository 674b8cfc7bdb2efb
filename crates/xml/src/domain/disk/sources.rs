// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the schema allows in the `<source>` of a disk: the disk's type decides. The reader takes all of it
//! and drops what the type has no use for.

use uuid::Uuid;

use crate::domain::seclabel::DeviceSeclabel;
use crate::domain::storage::{
    DataStore, Encryption, Protocol, Reconnect, Reservations, Slices, SourcePciAddress,
    StartupPolicy, StorageHost, StorageSource, VolumeMode,
};
use crate::schema::{Piece, kinds};
use crate::value::YesNo;

/// What images of all types can have.
const IMAGE: &[Piece] = pieces!(
    attr kinds::Positive = "index",
    attr StartupPolicy = "startupPolicy",
    child Slices = "slices",
    child DataStore = "dataStore",
    child Encryption = "encryption",
    many DeviceSeclabel = "seclabel"
);

shapes! {
    /// A file of the host.
    FileSource {
        attr kinds::ImagePath = "file",
        attr String = "fdgroup",
        pieces (IMAGE)
    }
    /// A block device of the host.
    BlockSource {
        attr kinds::BlockPath = "dev",
        child Reservations = "reservations",
        pieces (IMAGE)
    }
    /// A folder that the guest sees as a disk.
    DirSource {
        required kinds::AbsolutePath = "dir",
        pieces (IMAGE)
    }
    /// An image on servers.
    NetworkSource {
        required Protocol = "protocol",
        case "protocol" ["iscsi" "http" "https" "ftp" "ftps" "tftp" "ssh" "sheepdog" "vxhs" "nfs"] {
            required String = "name",
            one StorageHost = "host"
        },
        case "protocol" ["nbd"] { one StorageHost = "host" },
        case "protocol" ["gluster"] { required String = "name", some StorageHost = "host" },
        child DiskAuth = "auth",
        without attr "file",
        without attr "dev",
        without attr "dir",
        without attr "pool",
        without attr "volume",
        without attr "mode",
        without attr "managed",
        without attr "namespace",
        without attr "fdgroup",
        without child "address",
        attr kinds::Positive = "index",
        part StorageSource
    }
    /// Who opens an image.
    DiskAuth {
        required kinds::GenericName = "username",
        one (
            required kinds::DiskSecret = "type",
            attr Uuid = "uuid",
            attr kinds::ObjectName = "usage"
        ) = "secret"
    }
    /// A volume of a storage pool.
    VolumeSource {
        required kinds::ObjectName = "pool",
        required kinds::VolumeName = "volume",
        attr VolumeMode = "mode",
        pieces (IMAGE)
    }
    /// A disk on an NVMe controller of the host.
    NvmeSource {
        required String = "type",
        required kinds::Uint32 = "namespace",
        attr YesNo = "managed",
        one SourcePciAddress = "address",
        pieces (IMAGE)
    }
    /// A disk that another process serves.
    VhostUserSource {
        required String = "type",
        required kinds::AbsolutePath = "path",
        child Reconnect = "reconnect"
    }
    /// A device that speaks virtio itself.
    VhostVdpaSource {
        required kinds::AbsolutePath = "dev"
    }
}
