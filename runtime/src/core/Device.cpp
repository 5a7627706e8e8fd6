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

// What generated code calls to launch a kernel.
extern "C" void rshard_run(rshard_frame *frame, int32_t kernel,
                           const rshard_argument *arguments, int32_t count) {
  static_cast<rshard::runtime::Device *>(frame->session)
      ->run(kernel, {arguments, static_cast<size_t>(count)});
}
