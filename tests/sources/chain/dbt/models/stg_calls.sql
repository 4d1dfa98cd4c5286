{{ config(materialized='table') }}
select customer, count(*) as calls from {{ source('raw', 'calls') }} group by customer
