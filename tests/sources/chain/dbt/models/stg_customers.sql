{{ config(materialized='table') }}
select id, tenure, churned from {{ source('raw', 'customers') }}
