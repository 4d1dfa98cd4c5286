{{ config(materialized='table') }}
select c.id, c.tenure, coalesce(k.calls, 0) as calls, c.churned
from {{ ref('stg_customers') }} c left join {{ ref('stg_calls') }} k on k.customer = c.id
