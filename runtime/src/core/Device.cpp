#include "Device.h"
#include "CudaDevice.h"
#include "HostDevice.h"

namespace rshard::runtime {

Expected<std::unique_ptr<Device>> Device::create(const Artifact &artifact,
                                                 int ordinal) {
  const std::string &target = artifact.manifest().target.name;
  if (target == "cuda")
    return cuda::CudaDevice::create(artifact, ordinal);
  if (target == "cpu")
    return std::unique_ptr<Device>(new HostDevice);
  return Error{"artifact for target \"" + target +
               "\", sessions run on \"cpu\" and \"cuda\""};
}

} // namespace rshard::runtime
