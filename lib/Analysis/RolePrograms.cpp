//===- RolePrograms.cpp - C6 of the partitioned phase ---------------------===//

#include "PhasePrograms.h"
#include "RShard/RShard.h"
#include "llvm/ADT/MapVector.h"
#include <array>

using namespace mlir;
using namespace rshard;

namespace {

/// A role's program, and how far it has run.
struct Program {
  func::FuncOp func;
  std::vector<Event> events;
  size_t next = 0;

  bool ended() const { return next == events.size(); }
};

/// The programs of the roles, run against one another.
class RolePrograms {
public:
  explicit RolePrograms(ModuleOp module) : module(module) {}

  FailureOr<int64_t> verify();

private:
  /// A route in a layer.
  using Address = std::pair<Operation *, int64_t>;
  using Ends = llvm::MapVector<Address, Operation *>;

  LogicalResult find();
  LogicalResult checkClass(const Event &event, RouteOp route);
  LogicalResult add(const Event &event);
  LogicalResult compare(const Ends &from, const Ends &to, StringRef problem,
                        Role (*other)(RouteKind));
  LogicalResult run();
  LogicalResult explainCircle();
  Program &programOf(Role role) { return programs[static_cast<size_t>(role)]; }

  ModuleOp module;
  std::array<Program, 3> programs; ///< by role
  Ends sends, receives;            ///< in the order of the programs
};

} // namespace

static RouteOp routeOf(Operation *op) {
  auto name = isa<SendOp>(op) ? cast<SendOp>(op).getRouteAttr()
                              : cast<ReceiveOp>(op).getRouteAttr();
  return SymbolTable::lookupNearestSymbolFrom<RouteOp>(op, name);
}

/// Cells attend with the mask by which their queries were chosen.
static LogicalResult checkMask(ReceiveOp receive, RouteOp route) {
  if (route.getKind() != RouteKind::Query)
    return success();
  for (Operation *user : receive->getUsers()) {
    auto attention = dyn_cast<PartialAttentionOp>(user);
    if (!attention || attention.getMask() == *route.getMask())
      continue;
    InFlightDiagnostic diag = attention.emitOpError("C2: has mask ")
                              << attention.getMask() << " vs "
                              << *route.getMask() << " of its queries' route @"
                              << route.getSymName();
    diag.attachNote(route.getLoc()) << "the route";
    return diag;
  }
  return success();
}

LogicalResult RolePrograms::find() {
  for (auto func : module.getOps<func::FuncOp>()) {
    auto role = func->getAttrOfType<RoleAttr>(roleAttrName);
    if (!role)
      continue;
    Program &program = programOf(role.getValue());
    if (program.func) {
      InFlightDiagnostic diag =
          func.emitOpError("is the second program of role ")
          << stringifyRole(role.getValue());
      diag.attachNote(program.func.getLoc()) << "the first one";
      return diag;
    }
    program.func = func;
    FailureOr<std::vector<Event>> events = traceProgram(func);
    if (failed(events))
      return failure();
    program.events = std::move(*events);
  }
  for (Role role : {Role::Client, Role::Comp, Role::Attn})
    if (!programOf(role).func)
      return module.emitError("holds no program of role ")
             << stringifyRole(role) << " vs a module of the partitioned phase";
  return success();
}

/// A layer takes the routes of its class.
LogicalResult RolePrograms::checkClass(const Event &event, RouteOp route) {
  auto classes = module->getAttrOfType<DenseI32ArrayAttr>(layerClassesAttrName);
  if (!route.getLayerClass() || !classes)
    return success();
  if (event.layer < 0 || event.layer >= classes.size())
    return event.op->emitOpError("C6: is for layer ")
           << event.layer << " vs the " << classes.size()
           << " layers of the model";
  int64_t layerClass = *route.getLayerClass();
  if (classes[event.layer] == layerClass)
    return success();
  InFlightDiagnostic diag =
      event.op->emitOpError("C2: layer ")
      << event.layer << " is of class " << classes[event.layer] << " vs class "
      << layerClass << " of route @" << route.getSymName();
  diag.attachNote(route.getLoc()) << "the route";
  return diag;
}

LogicalResult RolePrograms::add(const Event &event) {
  if (!isa<SendOp, ReceiveOp>(event.op))
    return event.op->emitOpError("C6: stands in a program of a role: it "
                                 "belongs to the scheduled phase");
  RouteOp route = routeOf(event.op);
  if (failed(checkClass(event, route)))
    return failure();
  auto receive = dyn_cast<ReceiveOp>(event.op);
  if (receive && failed(checkMask(receive, route)))
    return failure();
  auto [end, isNew] =
      (receive ? receives : sends).insert({{route, event.layer}, event.op});
  if (isNew)
    return success();
  InFlightDiagnostic diag =
      event.op->emitOpError("C6: comes a second time for @")
      << route.getSymName() << " in layer " << event.layer;
  diag.attachNote(end->second->getLoc()) << "the first time";
  return diag;
}

/// Every end in `from` has one in `to`, which is in a program of role `other`.
LogicalResult RolePrograms::compare(const Ends &from, const Ends &to,
                                    StringRef problem,
                                    Role (*other)(RouteKind)) {
  for (auto [address, op] : from) {
    if (to.contains(address))
      continue;
    auto route = cast<RouteOp>(address.first);
    Role role = other(route.getKind());
    InFlightDiagnostic diag = op->emitOpError("C6: ")
                              << problem << " @" << route.getSymName()
                              << " in layer " << address.second;
    diag.attachNote(programOf(role).func.getLoc())
        << "the program of role " << stringifyRole(role);
    return diag;
  }
  return success();
}

/// Nobody can go on: every program waits for one that waits.
LogicalResult RolePrograms::explainCircle() {
  std::optional<InFlightDiagnostic> diag;
  for (Program &program : programs) {
    if (program.ended())
      continue;
    const Event &event = program.events[program.next];
    std::string text = " for @" + routeOf(event.op).getSymName().str() +
                       " in layer " + std::to_string(event.layer);
    if (!diag)
      diag.emplace(event.op->emitOpError("C6: waits")
                   << text << " in a circle");
    else
      diag->attachNote(event.op->getLoc())
          << "the program of role "
          << stringifyRole(getReceiver(routeOf(event.op).getKind())) << " waits"
          << text;
  }
  return LogicalResult(*diag);
}

/// Sends wait for nobody, receives for their send.
LogicalResult RolePrograms::run() {
  llvm::DenseSet<Address> sent;
  for (bool progress = true; progress;) {
    progress = false;
    for (Program &program : programs)
      for (; !program.ended(); ++program.next, progress = true) {
        const Event &event = program.events[program.next];
        Address address{routeOf(event.op), event.layer};
        if (isa<SendOp>(event.op))
          sent.insert(address);
        else if (!sent.contains(address))
          break;
      }
  }
  bool ended =
      llvm::all_of(programs, [](const Program &one) { return one.ended(); });
  return ended ? success() : explainCircle();
}

FailureOr<int64_t> RolePrograms::verify() {
  if (failed(find()))
    return failure();
  for (const Program &program : programs)
    for (const Event &event : program.events)
      if (failed(add(event)))
        return failure();
  if (failed(compare(sends, receives, "nobody receives", getReceiver)) ||
      failed(compare(receives, sends, "nobody sends", getSender)) ||
      failed(run()))
    return failure();
  return static_cast<int64_t>(sends.size());
}

FailureOr<int64_t> rshard::verifyRolePrograms(ModuleOp module) {
  return RolePrograms(module).verify();
}
