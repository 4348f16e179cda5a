-- Health of a PostgresCluster or a MySQLCluster, from its conditions (docs/reference/conditions.md).
local health = { status = "Progressing", message = "The operator has not seen this version of the spec yet." }

local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end

if obj.metadata.deletionTimestamp ~= nil then
  health.message = "It is being deleted."
  return health
end
if conditions.Ready == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end

local function is(type, status)
  return conditions[type] ~= nil and conditions[type].status == status
end

if is("Stalled", "True") then
  return { status = "Degraded", message = conditions.Stalled.message }
end
if obj.spec ~= nil and obj.spec.hibernated and is("Ready", "True") then
  return { status = "Suspended", message = conditions.Ready.message }
end
if obj.spec ~= nil and obj.spec.paused then
  return { status = "Suspended", message = "spec.paused is true: the operator changes nothing." }
end
if is("Ready", "True") then
  return { status = "Healthy", message = conditions.Ready.message }
end
if is("Ready", "Unknown") then
  return { status = "Unknown", message = conditions.Ready.message }
end
-- The first primary is not there yet, or a change is under way.
if is("Reconciling", "True") then
  return { status = "Progressing", message = conditions.Reconciling.message }
end
if is("Available", "False") then
  return { status = "Degraded", message = conditions.Available.message }
end
return { status = "Progressing", message = conditions.Ready.message }
