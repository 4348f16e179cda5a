-- Health of a ClusterOperation: it is carried out once, and what became of it stays.
for _, condition in ipairs((obj.status or {}).conditions or {}) do
  if condition.type == "Complete" and condition.status == "True" then
    return { status = "Healthy", message = condition.message }
  end
  if condition.type == "Failed" and condition.status == "True" then
    return { status = "Degraded", message = condition.message }
  end
end
return { status = "Progressing", message = (obj.status or {}).message or "It has not begun yet." }
