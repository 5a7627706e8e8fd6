//===- RolePrograms.cpp - C6 of the partitioned phase ---------------------===//

#include "PhasePrograms.h"
#include "rshard/Plan/ProgramSet.h"
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
  RolePrograms(ModuleOp module, ArrayRef<int32_t> classes,
               const tokenset::Plan &plan, const RouteSet &routes)
      : module(module), classes(classes), routes(routes),
        first(plan.clientFirst),
        end(static_cast<int64_t>(classes.size()) - plan.clientLast) {}

  FailureOr<int64_t> verify();

private:
  /// A route in a layer.
  using Address = std::pair<Operation *, int64_t>;
  using Ends = llvm::MapVector<Address, Operation *>;

  LogicalResult trace(const ProgramSet &set);
  LogicalResult checkClientMasks();
  LogicalResult checkLayer(const Event &event, RouteOp route);
  LogicalResult checkComplete();
  LogicalResult add(const Event &event);
  LogicalResult compare(const Ends &from, const Ends &to, StringRef problem,
                        Role (*other)(RouteKind));
  LogicalResult run();
  Program &programOf(Role role) { return programs[static_cast<size_t>(role)]; }

  ModuleOp module;
  ArrayRef<int32_t> classes; ///< by layer
  const RouteSet &routes;
  int64_t first, end; ///< the layers of the CompNodes
  std::array<Program, ProgramSet::roles.size()> programs; ///< by role
  Ends sends, receives; ///< in the order of the programs
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

LogicalResult RolePrograms::trace(const ProgramSet &set) {
  for (Role role : ProgramSet::roles) {
    Program &program = programOf(role);
    program.func = set.get(role);
    FailureOr<std::vector<Event>> events = traceProgram(program.func);
    if (failed(events))
      return failure();
    program.events = std::move(*events);
  }
  return success();
}

/// C2: the client attends with the mask of a layer's class.
LogicalResult RolePrograms::checkClientMasks() {
  ProgramTrace trace(programOf(Role::Client).func);
  return trace.follow([&](Operation *op) -> LogicalResult {
    auto append = dyn_cast<AppendOp>(op);
    std::optional<int64_t> layer;
    if (append)
      layer = trace.valueOf(append.getLayer());
    if (!layer)
      return success();
    int64_t depth = classes.size();
    if (*layer < 0 || *layer >= depth || (*layer >= first && *layer < end))
      return op->emitOpError("C6: is for layer ")
             << *layer << " vs the client's layers [0, " << first << ") and ["
             << end << ", " << depth << ")";
    RouteOp route = routes.getQuery(classes[*layer]);
    for (Operation *user : append.getKeys().getUsers()) {
      auto attention = dyn_cast<PartialAttentionOp>(user);
      if (!attention || attention.getMask() == *route.getMask())
        continue;
      InFlightDiagnostic diag = attention.emitOpError("C2: has mask ")
                                << attention.getMask() << " in layer " << *layer
                                << " vs " << *route.getMask()
                                << " of its class " << classes[*layer];
      diag.attachNote(route.getLoc()) << "the class's route of queries";
      return diag;
    }
    return success();
  });
}

/// Rows enter in the first layer of the CompNodes and leave after the last; a
/// layer between takes the routes of its class.
LogicalResult RolePrograms::checkLayer(const Event &event, RouteOp route) {
  int64_t from = route.getKind() == RouteKind::Leave ? end - 1 : first;
  int64_t to = route.getKind() == RouteKind::Enter ? first + 1 : end;
  if (event.layer < from || event.layer >= to)
    return event.op->emitOpError("C6: is for layer ")
           << event.layer << " vs layers [" << from << ", " << to
           << "), in which the plan's nodes exchange @" << route.getSymName();
  if (!route.getLayerClass() ||
      classes[event.layer] == static_cast<int64_t>(*route.getLayerClass()))
    return success();
  InFlightDiagnostic diag =
      event.op->emitOpError("C2: layer ")
      << event.layer << " is of class " << classes[event.layer] << " vs class "
      << *route.getLayerClass() << " of route @" << route.getSymName();
  diag.attachNote(route.getLoc()) << "the route";
  return diag;
}

/// Every layer of the CompNodes is among the sends.
LogicalResult RolePrograms::checkComplete() {
  auto check = [&](RouteOp route, int64_t layer) -> LogicalResult {
    if (sends.contains({route, layer}))
      return success();
    return programOf(getSender(route.getKind())).func.emitOpError("C6: sends ")
           << "nothing along @" << route.getSymName() << " in layer " << layer
           << " vs layers [" << first << ", " << end << ") of the CompNodes";
  };
  if (failed(check(routes.getEnter(), first)) ||
      failed(check(routes.getLeave(), end - 1)))
    return failure();
  for (int64_t layer = first; layer != end; ++layer) {
    int64_t one = classes[layer];
    for (RouteOp route :
         {routes.getQuery(one), routes.getKey(one), routes.getPartial(one)})
      if (failed(check(route, layer)))
        return failure();
  }
  return success();
}

LogicalResult RolePrograms::add(const Event &event) {
  if (!isa<SendOp, ReceiveOp>(event.op))
    return event.op->emitOpError("C6: stands in a program of a role: it "
                                 "belongs to the scheduled phase");
  RouteOp route = routeOf(event.op);
  if (failed(checkLayer(event, route)))
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

/// Both ends of an exchange come next in their programs: sends and receives
/// wait for each other. One end of every route is on a CompNode, so the order
/// of its program is that of all.
LogicalResult RolePrograms::run() {
  Program &comp = programOf(Role::Comp);
  for (; !comp.ended(); ++comp.next) {
    const Event &event = comp.events[comp.next];
    RouteOp route = routeOf(event.op);
    Role role = isa<SendOp>(event.op) ? getReceiver(route.getKind())
                                      : getSender(route.getKind());
    // The other end is still ahead: every end has one.
    Program &other = programOf(role);
    const Event &next = other.events[other.next++];
    if (routeOf(next.op) == route && next.layer == event.layer)
      continue;
    InFlightDiagnostic diag = next.op->emitOpError("C6: comes next, for @")
                              << routeOf(next.op).getSymName() << " in layer "
                              << next.layer << ", vs @" << route.getSymName()
                              << " in layer " << event.layer;
    diag.attachNote(event.op->getLoc())
        << "the program of role " << stringifyRole(Role::Comp) << " waits here";
    return diag;
  }
  return success();
}

FailureOr<int64_t> RolePrograms::verify() {
  FailureOr<ProgramSet> set = ProgramSet::create(module);
  if (failed(set) || failed(trace(*set)) || failed(checkClientMasks()))
    return failure();
  for (const Program &program : programs)
    for (const Event &event : program.events)
      if (failed(add(event)))
        return failure();
  if (failed(compare(sends, receives, "nobody receives", getReceiver)) ||
      failed(compare(receives, sends, "nobody sends", getSender)) ||
      failed(checkComplete()) || failed(run()))
    return failure();
  return static_cast<int64_t>(sends.size());
}

FailureOr<int64_t> rshard::verifyRolePrograms(ModuleOp module,
                                              ArrayRef<int32_t> layerClasses,
                                              const tokenset::Plan &plan,
                                              const RouteSet &routes) {
  return RolePrograms(module, layerClasses, plan, routes).verify();
}
